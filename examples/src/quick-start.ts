// Everything once: an event, a consumer with its read model, a worker. Run it several times at once, and stop it with Ctrl-C.
import { createWorker } from "@pup/coordinator";
import { defineConsumer } from "@pup/core";
import { createPollDispatcher } from "@pup/dispatch-poll";
import { createPgStore, migrate, type PgTransaction } from "@pup/store-pg";

const connection = process.env.DATABASE_URL ?? "postgres://localhost/postgres";
await migrate({ connection });
const store = createPgStore({ connection });
await store.transaction(async ({ sql }) => {
  await sql`select pg_advisory_xact_lock(1)`; // Several may start at once.
  await sql`create table if not exists placed_orders (order_id text, cents integer)`;
});

const orders = defineConsumer<PgTransaction>({
  name: "placed-orders.v1",
  eventTypes: ["OrderPlaced"],
  async handle({ aggregateId, payload }, { tx }) {
    const { cents } = payload as { cents: number };
    await tx.sql`insert into placed_orders (order_id, cents) values (${aggregateId}, ${cents})`; // Commits with the checkpoint.
    console.log(`order ${aggregateId} over ${cents} cents`);
  },
});

const order = { aggregateType: "Order", aggregateId: crypto.randomUUID() };
await store.append([{ ...order, type: "OrderPlaced", payload: { cents: 1_200 } }], { expectedVersion: "no-stream" });

const stopping = new AbortController();
for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => stopping.abort());
const worker = createWorker({ store, dispatcher: createPollDispatcher(), consumers: [orders] });
await worker.start({ signal: stopping.signal });
await store.close();
