// Workers that are woken by LISTEN/NOTIFY: milliseconds after an append instead of a fifth of a second.
import { createWorker } from "@pup/coordinator";
import { defineConsumer } from "@pup/core";
import { createNotifyDispatcher } from "@pup/dispatch-notify";
import { createPgStore, migrate } from "@pup/store-pg";

const connection = process.env.DATABASE_URL ?? "postgres://localhost/postgres";
await migrate({ connection });

// The store notifies on the channel on which the dispatcher listens. That needs a session of its own: past PgBouncer, if
// there is one.
const channel = "shop_events";
const store = createPgStore({ connection, notify: { channel } });
const dispatcher = createNotifyDispatcher({ connection, channel });

const latency = defineConsumer({
  name: "latency.v1",
  handle: ({ payload }) =>
    console.log(`handled ${Date.now() - (payload as { sentAt: number }).sentAt} ms after its append`),
});

const stopping = new AbortController();
for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => stopping.abort());
const worker = createWorker({ store, dispatcher, consumers: [latency] });
const running = worker.start({ signal: stopping.signal });

while (!stopping.signal.aborted) {
  const ping = { aggregateType: "Ping", aggregateId: "ping", type: "Pinged", payload: { sentAt: Date.now() } };
  await store.append([ping]);
  await new Promise((resolve) => setTimeout(resolve, 500));
}
await running;
await store.close();
