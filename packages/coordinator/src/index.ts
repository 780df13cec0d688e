export type { ConsumerHealth } from "./consumer-set.ts";
export { createWorker } from "./create-worker.ts";
export { type WorkerOptions, workerDefaults } from "./options.ts";
export type { RunOnceOutcome, Worker, WorkerHealth } from "./worker.ts";
