// One of the threads that share the seeds: see run-seeds.ts.
import { parentPort } from "node:worker_threads";
import { runSeed } from "./run-seed.ts";
import type { SeedRequest } from "./run-seeds.ts";

// Faults make thousands of errors that nobody looks at.
Error.stackTraceLimit = 0;

parentPort?.on("message", async ({ seed, ...options }: SeedRequest) => {
  parentPort?.postMessage(await runSeed(seed, options));
});
