import { defineConsumer, type NewEvent } from "@pup/core";
import type { MemoryTransaction } from "@pup/testing";

/** Keeps orders until they are shipped. */
export const openOrders = defineConsumer<MemoryTransaction>({
  name: "open-orders.v1",
  handle({ type, aggregateId }, { tx }) {
    const open = tx.table("open");
    return type === "OrderPlaced" ? open.set(aggregateId, {}) : open.delete(aggregateId);
  },
});

const order = (aggregateId: string, type: string): NewEvent => ({
  aggregateType: "Order",
  aggregateId,
  type,
  payload: {},
});

export const orderPlaced = (id: string) => order(id, "OrderPlaced");
export const orderShipped = (id: string) => order(id, "OrderShipped");
