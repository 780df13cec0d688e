// A consumer that runs on PostgreSQL, and in a unit test without it: it writes through a few methods that it is given.
import { defineConsumer } from "@pup/core";
import type { PgTransaction } from "@pup/store-pg";

/** What the consumer asks of a transaction. */
export interface OpenOrders {
  add(orderId: string): Promise<unknown>;
  remove(orderId: string): Promise<unknown>;
  list(): Promise<readonly string[]>;
}

export const openOrders = <Tx>(ordersOf: (tx: Tx) => OpenOrders) =>
  defineConsumer<Tx>({
    name: "open-orders.v1",
    eventTypes: ["OrderPlaced", "OrderShipped"],
    handle({ type, aggregateId }, { tx }) {
      const orders = ordersOf(tx);
      return type === "OrderPlaced" ? orders.add(aggregateId) : orders.remove(aggregateId);
    },
  });

/** The real thing: a worker runs `openOrders(ordersInPg)`. */
export const ordersInPg = ({ sql }: PgTransaction): OpenOrders => ({
  add: (id) => sql`insert into open_orders (id) values (${id})`,
  remove: (id) => sql`delete from open_orders where id = ${id}`,
  list: async () => (await sql<{ id: string }[]>`select id from open_orders order by id`).map(({ id }) => id),
});
