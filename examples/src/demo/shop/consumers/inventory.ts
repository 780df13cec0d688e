import { defineConsumer } from "@pup/core";
import type { ShopEvent } from "../events.ts";
import type { ShopTransaction } from "../tables.ts";

/** Knows what lies on the shelves, and how much of it is promised. A batch is added up first, then written at once. */
export const inventory = defineConsumer<ShopTransaction>({
  name: "Inventory",
  aggregateTypes: ["Product", "Order"],

  async handleBatch(events, { tx }) {
    const changes = new Map<string, { product_id: string; on_hand: number; reserved: number }>();
    const add = (product_id: string, on_hand: number, reserved: number) => {
      const before = changes.get(product_id) ?? { product_id, on_hand: 0, reserved: 0 };
      changes.set(product_id, { product_id, on_hand: before.on_hand + on_hand, reserved: before.reserved + reserved });
    };

    for (const { type, aggregateId, payload } of events as readonly ShopEvent[]) {
      if (type === "ProductAdded") add(aggregateId, 0, 0);
      if (type === "StockReceived") add(aggregateId, payload.quantity, 0);
      if (type === "OrderPlaced") for (const line of payload.lines) add(line.productId, 0, line.quantity);
      if (type === "OrderCancelled") for (const line of payload.lines) add(line.productId, 0, -line.quantity);
      if (type === "OrderShipped")
        for (const line of payload.lines) add(line.productId, -line.quantity, -line.quantity);
    }

    await tx.sql`
      insert into stock_levels as stock (product_id, on_hand, reserved)
      select product_id, on_hand, reserved
      from jsonb_to_recordset(${JSON.stringify([...changes.values()])}::text::jsonb)
        as change (product_id text, on_hand integer, reserved integer)
      on conflict (product_id) do update
      set on_hand = stock.on_hand + excluded.on_hand, reserved = stock.reserved + excluded.reserved`;
  },
});
