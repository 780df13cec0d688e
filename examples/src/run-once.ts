// For cron, a script, a deployment step: handles what is in the log now, says how far it came, and ends.
import { createWorker } from "@pup/coordinator";
import { defineConsumer } from "@pup/core";
import { createPollDispatcher } from "@pup/dispatch-poll";
import { createPgStore, migrate } from "@pup/store-pg";

const connection = process.env.DATABASE_URL ?? "postgres://localhost/postgres";
await migrate({ connection });
const store = createPgStore({ connection });
const report = { aggregateType: "Report", aggregateId: crypto.randomUUID() };
await store.append([{ ...report, type: "ReportRequested", payload: { title: "Turnover" } }]);

const reports = defineConsumer({
  name: "reports.v1",
  // A mail, a file, another service: such effects cannot commit with the checkpoint, so they may happen twice.
  transaction: "none",
  handle: ({ payload }) => console.log(`report: ${(payload as { title: string }).title}`),
});

const worker = createWorker({ store, dispatcher: createPollDispatcher(), consumers: [reports] });
for (const { consumer, outcome, events } of await worker.runOnce())
  console.log(`${consumer}: ${outcome}, ${events} events`);
await store.close();
