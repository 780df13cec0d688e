import type { Batch, CheckpointStore } from "@pup/core";
import { workerA } from "./workers.ts";

const LONG_MS = 60_000;

/** Takes a consumer over as worker A. Gives a batch under its epoch that would leave the checkpoint where it is. */
export async function ownConsumer(store: CheckpointStore, consumer: string): Promise<Batch> {
  await store.createCheckpoint(consumer, 0n);
  const acquired = await store.acquire({
    consumer,
    workerId: workerA,
    claim: "unowned",
    graceMs: LONG_MS,
    batchTimeoutMs: LONG_MS,
    heartbeatTimeoutMs: LONG_MS,
  });
  if (acquired.outcome !== "acquired") throw new Error(`Expected to acquire the consumer, got "${acquired.outcome}".`);
  const { epoch, position } = acquired;
  const { signal } = new AbortController();
  return { consumer, epoch, from: position, to: position, timeoutMs: LONG_MS, signal };
}
