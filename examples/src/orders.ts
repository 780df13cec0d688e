import { defineConsumer } from "@pup/core";
import type { PgTransaction } from "@pup/store-pg";

export const orders = defineConsumer<PgTransaction>({
  name: "orders.v1",
  aggregateTypes: ["Order"],
  async handle(event, { tx }) {
    await tx.sql`insert into orders (id) values (${event.aggregateId}) on conflict do nothing`;
  },
});
