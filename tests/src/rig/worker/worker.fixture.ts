// A worker process of the rig. Reports to its parent over the channel, and stops in good order on SIGTERM.
import { createWorker } from "@pup/coordinator";
import { createNotifyDispatcher } from "@pup/dispatch-notify";
import { createPollDispatcher } from "@pup/dispatch-poll";
import { createPgStore } from "@pup/store-pg";
import { createConsumers, type RigTables } from "../consumers.ts";
import { freezeOnOrder } from "./freeze-on-order.ts";
import { readSettings, type WorkerOrder, type WorkerReport } from "./settings.ts";
import { watchGaps } from "./watch-gaps.ts";
import { withoutProtection } from "./without-protection.ts";

const NEVER_MS = 2 ** 31 - 1;

const { name, databaseUrl, dispatcher, timings, broken } = readSettings();
const blind = broken === "notify-reconcile";
/** Resolves when it has been handed over. */
const report = (told: WorkerReport) =>
  new Promise<void>((resolve) => {
    if (process.connected) process.send?.(told, () => resolve());
    else resolve();
  });
const store = createPgStore<RigTables>({
  connection: databaseUrl,
  applicationName: name,
  ...(dispatcher === "notify" && { notify: {} }),
});
const gaps = watchGaps(withoutProtection(store, broken));
const freezing = freezeOnOrder(gaps.store, ({ consumer, to }) =>
  report({ kind: "freezing", consumer, to: String(to) }),
);
const worker = createWorker({
  store: freezing.store,
  dispatcher:
    dispatcher === "notify"
      ? createNotifyDispatcher({ connection: databaseUrl, ...(blind && { reconcileIntervalMs: NEVER_MS }) })
      : createPollDispatcher(),
  consumers: createConsumers(store),
  ...timings,
  ...(blind && { pollIntervalMs: NEVER_MS, maxPollIntervalMs: NEVER_MS }),
});

worker.events.on("worker:started", ({ workerId }) => report({ kind: "started", workerId }));
worker.events.on("consumer:failed", ({ consumer, error }) =>
  report({ kind: "failed", consumer, reason: error instanceof Error ? String(error.stack) : String(error) }),
);
worker.events.on("worker:disconnected", () => report({ kind: "trouble", what: "disconnected" }));
worker.events.on("worker:rejoined", () => report({ kind: "trouble", what: "rejoined" }));
worker.events.on("consumer:released", ({ reason }) => {
  if (reason === "fenced") void report({ kind: "trouble", what: "fenced" });
});
gaps.watch(worker.events, (gap) => report({ kind: "gap", gap }));
process.on("message", ({ freezeBeforeBatchOf }: WorkerOrder) => freezing.order(freezeBeforeBatchOf));

const stopping = new AbortController();
process.once("SIGTERM", () => stopping.abort());
// The rig is gone, and the database with it.
process.once("disconnect", () => process.exit(1));
// Whatever is left open has to show as a process that does not end; the line to the rig does not count.
process.channel?.unref();
await worker.start({ signal: stopping.signal });
await store.close();
