// A worker process with the default options: `node worker.fixture.ts <database url> <poll|notify> <consumer> …`.
// Tells its parent over the channel what the tests wait for, and stops on SIGTERM.
import { createWorker } from "@pup/coordinator";
import { createNotifyDispatcher } from "@pup/dispatch-notify";
import { createPollDispatcher } from "@pup/dispatch-poll";
import { createPgStore } from "@pup/store-pg";
import { trailConsumer } from "./trail.ts";

const [url = "", dispatch, ...names] = process.argv.slice(2);
const store = createPgStore({ connection: url, ...(dispatch === "notify" && { notify: {} }) });
const worker = createWorker({
  store,
  dispatcher: dispatch === "notify" ? createNotifyDispatcher({ connection: url }) : createPollDispatcher(),
  consumers: names.map((name) => trailConsumer(name)),
});

worker.events.on("worker:started", ({ workerId }) => process.send?.({ started: workerId }));
worker.events.on("leader:acquired", () => process.send?.({ leads: true }));
worker.events.on("leader:lost", () => process.send?.({ leads: false }));

const stopping = new AbortController();
process.once("SIGTERM", () => stopping.abort());
process.once("disconnect", () => stopping.abort());
await worker.start({ signal: stopping.signal });
await store.close();
process.disconnect?.();
