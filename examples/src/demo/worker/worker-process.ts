// One worker of the demo: a process as it would run in production, with default options, until SIGTERM.
import { createWorker } from "@pup/coordinator";
import { createNotifyDispatcher } from "@pup/dispatch-notify";
import { createPollDispatcher } from "@pup/dispatch-poll";
import { createPgStore } from "@pup/store-pg";
import { pino } from "pino";
import { notifyChannel, readChildSettings, reportToParent } from "../fleet/child-side.ts";
import type { WorkerReport } from "../fleet/fleet.ts";
import { shopConsumers } from "../shop/consumers/index.ts";
import type { ShopTables } from "../shop/tables.ts";
import { countHandled } from "./count-handled.ts";
import { withTrail } from "./with-trail.ts";

const { databaseUrl, dispatcher, stopping } = readChildSettings();
const logger = pino({ level: "warn" }, pino.destination(2));
const notify = dispatcher === "notify" ? { channel: notifyChannel } : undefined;
const store = createPgStore<ShopTables>({ connection: databaseUrl, notify, logger });
const worker = createWorker({
  store,
  dispatcher:
    dispatcher === "notify"
      ? createNotifyDispatcher({ connection: databaseUrl, channel: notifyChannel })
      : createPollDispatcher(),
  consumers: shopConsumers.map(withTrail),
  logger,
});

const takeHandled = countHandled(worker.events);
const report: (report: WorkerReport) => void = reportToParent;
const reporting = setInterval(() => report({ kind: "handled", counts: takeHandled() }), 200);
worker.events.on("worker:started", ({ workerId }) => report({ kind: "started", workerId }));
worker.events.on("consumer:failed", ({ consumer, error }) =>
  report({ kind: "failed", consumer, reason: String(error) }),
);
try {
  await worker.start({ signal: stopping });
} finally {
  clearInterval(reporting);
  await store.close();
}
