// A worker as it runs in production: limits, logs, probes, and an end in good order. Run it as often as you like.
import { createWorker } from "@pup/coordinator";
import { createPollDispatcher } from "@pup/dispatch-poll";
import { createPgStore } from "@pup/store-pg";
import { pino } from "pino";
import { startHealthServer } from "./health-server.ts";
import { orders } from "./orders.ts";

const { DATABASE_URL: connection, POOL_SIZE = "10", HEALTH_HOST = "127.0.0.1", HEALTH_PORT = "8080" } = process.env;
if (!connection) throw new Error("Expected DATABASE_URL to name the database.");

const logger = pino();
const store = createPgStore({ connection, max: Number(POOL_SIZE), applicationName: "shop-worker", logger });
const worker = createWorker({
  store,
  dispatcher: createPollDispatcher(),
  consumers: [orders],
  // Ends before the grace period of whoever runs it: see terminationGracePeriodSeconds in docs/deploy/kubernetes.yaml.
  shutdownTimeoutMs: 30_000,
  logger,
});

const stopping = new AbortController();
for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => stopping.abort());

const health = await startHealthServer({ worker, host: HEALTH_HOST, port: Number(HEALTH_PORT) });
try {
  await worker.start({ signal: stopping.signal }); // Until the signal aborts and everything has drained.
} catch (err) {
  logger.fatal({ err }, "the worker could not run");
  process.exitCode = 1;
} finally {
  health.close();
  await store.close();
}
