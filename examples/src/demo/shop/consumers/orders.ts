import { defineConsumer } from "@pup/core";
import type { ShopEvent } from "../events.ts";
import type { ShopTransaction } from "../tables.ts";

const stateAfter = { OrderPaid: "paid", OrderShipped: "shipped", OrderCancelled: "cancelled" } as const;

/** The list of orders. Refuses an event that does not follow the one before it. */
export const orders = defineConsumer<ShopTransaction>({
  name: "Orders",
  aggregateTypes: ["Order"],

  async handle(event, { tx: { sql } }) {
    const { type, aggregateId, aggregateVersion, payload } = event as ShopEvent;
    switch (type) {
      case "OrderPlaced":
        await sql`
          insert into orders (order_id, customer_id, state, total_cents, version)
          values (${aggregateId}, ${payload.customerId}, 'placed', ${payload.totalCents}, ${aggregateVersion})`;
        break;
      case "OrderPaid":
      case "OrderShipped":
      case "OrderCancelled": {
        const { count } = await sql`
          update orders set state = ${stateAfter[type]}, version = ${aggregateVersion}
          where order_id = ${aggregateId} and version = ${aggregateVersion - 1}`;
        if (count !== 1) throw new Error(`Expected order ${aggregateId} at version ${aggregateVersion - 1}.`);
        break;
      }
    }
  },
});
