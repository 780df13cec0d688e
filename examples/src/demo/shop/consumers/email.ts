import { defineConsumer } from "@pup/core";
import type { ShopEvent } from "../events.ts";
import type { ShopTransaction } from "../tables.ts";

/**
 * Writes mails into an outbox. Sending them is somebody else's: an SMTP server takes no part in the transaction, so that part
 * would happen at least once, not exactly once.
 */
export const email = defineConsumer<ShopTransaction>({
  name: "Email",
  eventTypes: ["CustomerRegistered", "OrderPlaced", "OrderShipped", "OrderCancelled"],

  async handle(event, { tx: { sql } }) {
    const { type, aggregateId, globalPosition, payload } = event as ShopEvent;
    const write = (customerId: string, subject: string) => sql`
      insert into mail_outbox (recipient, subject, caused_by)
      select email, ${subject}, ${String(globalPosition)} from mail_addresses where customer_id = ${customerId}`;

    switch (type) {
      case "CustomerRegistered":
        await sql`insert into mail_addresses (customer_id, email) values (${aggregateId}, ${payload.email})`;
        await write(aggregateId, "Welcome");
        break;
      case "OrderPlaced":
        await write(payload.customerId, `We have your order ${aggregateId}`);
        break;
      case "OrderShipped":
        await write(payload.customerId, `Order ${aggregateId} is on its way with ${payload.carrier}`);
        break;
      case "OrderCancelled":
        await write(payload.customerId, `Order ${aggregateId} is cancelled`);
        break;
    }
  },
});
