// Events forwarded to a broker, here a Redis stream: at least once, in order, and never by an owner that has been replaced.
import { createWorker } from "@pup/coordinator";
import { createPollDispatcher } from "@pup/dispatch-poll";
import { createPgStore, migrate } from "@pup/store-pg";
import { createClient } from "redis";
import { createForwarder } from "./forward-to-redis.ts";

const { DATABASE_URL: connection = "postgres://localhost/postgres", REDIS_URL: url = "redis://127.0.0.1:6379" } =
  process.env;
await migrate({ connection });
const store = createPgStore({ connection });
const redis = createClient({ url, socket: { reconnectStrategy: false } });
redis.on("error", ({ code }) => {
  console.error(`No Redis at ${url} (${code}). Start one, or name it in REDIS_URL.`);
  process.exit(1);
});
await redis.connect();

const shipment = { aggregateType: "Shipment", aggregateId: crypto.randomUUID() };
await store.append(["Packed", "Sent"].map((type) => ({ ...shipment, type, payload: {} })));

await createWorker({
  store,
  dispatcher: createPollDispatcher(),
  consumers: [createForwarder({ redis, stream: "shipments", aggregateTypes: ["Shipment"] })],
}).runOnce();

const messages = (await redis.xRange("shipments", "-", "+")) ?? [];
for (const { id, message } of messages) console.log(`${id}: ${message.type}`);
await redis.close();
await store.close();
