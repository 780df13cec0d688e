// An HTTP application that appends events and reads what it has written: the stream is there as soon as the append has returned,
// the read model a moment later.

import { createWorker } from "@pup/coordinator";
import { type AggregateRef, defineConsumer, isPupError, type RecordedEvent } from "@pup/core";
import { createNotifyDispatcher } from "@pup/dispatch-notify";
import { createPgStore, migrate, type PgTransaction } from "@pup/store-pg";
import Fastify from "fastify";

const { DATABASE_URL: connection = "postgres://localhost/postgres", PORT = "3000" } = process.env;
await migrate({ connection });
const store = createPgStore({ connection, notify: {} });
await store.transaction(
  ({ sql }) => sql`create table if not exists balances (account text primary key, cents bigint not null)`,
);

const balances = defineConsumer<PgTransaction>({
  name: "balances.v1",
  aggregateTypes: ["Account"],
  async handle({ aggregateId, payload }, { tx }) {
    const { cents } = payload as { cents: number };
    await tx.sql`
      insert into balances as known (account, cents) values (${aggregateId}, ${cents})
      on conflict (account) do update set cents = known.cents + excluded.cents`;
  },
});
const worker = createWorker({ store, dispatcher: createNotifyDispatcher({ connection }), consumers: [balances] });

const account = (id: string): AggregateRef => ({ aggregateType: "Account", aggregateId: id });
/** The decisions are made on this: the stream, never the read model, which may be behind. */
const balanceOf = (events: readonly RecordedEvent[]) =>
  events.reduce((sum, { payload }) => sum + (payload as { cents: number }).cents, 0);

const app = Fastify();
type Account = { Params: { id: string } };

app.post<Account & { Body: { cents: number } }>("/accounts/:id/movements", async ({ params, body }, reply) => {
  const stream = await store.readStream(account(params.id));
  if (balanceOf(stream.events) + body.cents < 0) return reply.code(409).send({ error: "not enough money" });
  try {
    const moved = { ...account(params.id), type: "MoneyMoved", payload: { cents: body.cents } };
    // Two requests at once: one of them has decided on a balance that is no more.
    const { toVersion } = await store.append([moved], { expectedVersion: stream.version });
    return reply.code(201).send({ version: toVersion });
  } catch (error) {
    if (!isPupError(error) || error.code !== "PUP_CONCURRENCY_CONFLICT") throw error;
    return reply.code(409).send({ error: "somebody else was faster; try again" });
  }
});

// Your own writes, at once: out of the stream.
app.get<Account>("/accounts/:id", async ({ params }) => {
  const { events, version } = await store.readStream(account(params.id));
  return { cents: balanceOf(events), version };
});

// Everybody's, for lists and searches: out of the read model, milliseconds behind.
app.get("/accounts", () =>
  store.transaction(({ sql }) => sql`select account, cents::int from balances order by account`),
);

const stopping = new AbortController();
for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => stopping.abort());
const running = worker.start({ signal: stopping.signal });
console.log(`listening on ${await app.listen({ host: "127.0.0.1", port: Number(PORT) })}`);
await running;
await app.close();
await store.close();
