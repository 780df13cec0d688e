export { createWorker } from "./create-worker.ts";
export type { ConsumerHealth, LogHealth, LoopHealth, WorkerHealth } from "./health.ts";
export { type WorkerOptions, workerDefaults } from "./options.ts";
export { stringifyHealth } from "./stringify-health.ts";
export type { RunOnceOutcome, Worker } from "./worker.ts";
