import { createWorker } from "@pup/coordinator";
import { createPollDispatcher } from "@pup/dispatch-poll";
import { createPgStore } from "@pup/store-pg";
import { orders } from "./orders.ts";

const store = createPgStore({ connection: process.env.DATABASE_URL ?? "" });
const worker = createWorker({ store, dispatcher: createPollDispatcher(), consumers: [orders] });

const stopping = new AbortController();
process.once("SIGTERM", () => stopping.abort());
await worker.start({ signal: stopping.signal }); // Until the signal aborts and everything has drained.
await store.close();
