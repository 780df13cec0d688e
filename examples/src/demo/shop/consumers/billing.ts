import { defineConsumer } from "@pup/core";
import type { ShopEvent } from "../events.ts";
import type { ShopTransaction } from "../tables.ts";

/** Keeps an invoice for every order. Written with Kysely, one event at a time. */
export const billing = defineConsumer<ShopTransaction>({
  name: "Billing",
  eventTypes: ["OrderPlaced", "OrderPaid", "OrderCancelled"],

  async handle(event, { tx: { db } }) {
    const { type, aggregateId: order_id, payload } = event as ShopEvent;
    switch (type) {
      case "OrderPlaced": {
        const { customerId: customer_id, totalCents: amount_cents } = payload;
        await db.insertInto("invoices").values({ order_id, customer_id, amount_cents, state: "open" }).execute();
        break;
      }
      case "OrderPaid":
        await db.updateTable("invoices").set({ state: "paid" }).where("order_id", "=", order_id).execute();
        break;
      case "OrderCancelled":
        await db
          .updateTable("invoices")
          .set(({ case: when }) => ({
            state: when("state")
              .when("paid")
              .then("refunded" as const)
              .else("void" as const)
              .end(),
          }))
          .where("order_id", "=", order_id)
          .execute();
        break;
    }
  },
});
