import { createWorker } from "@pup/coordinator";
import type { Consumer, ConsumerSettings } from "@pup/core";
import { createPollDispatcher } from "@pup/dispatch-poll";
import { createPgStore, type PgTransaction } from "@pup/store-pg";
import { orAborted } from "../../workload/or-aborted.ts";

export interface PupCatchUp extends ConsumerSettings {
  readonly url: string;
  /** None of them has a checkpoint yet. */
  readonly consumers: readonly Consumer<PgTransaction>[];
  readonly signal: AbortSignal;
}

/**
 * Runs a worker until all consumers have come to the end of the log, then stops it.
 *
 * @returns milliseconds from the first consumer's acquisition until the last one was at the end, all committed
 */
export async function catchUpWithPup({ url, consumers, signal, ...settings }: PupCatchUp): Promise<number> {
  const store = createPgStore({ connection: url, max: Math.max(10, consumers.length + 4) });
  // What to run is told sooner than by default: the time before does not count, and is not worth waiting for.
  const worker = createWorker({
    store,
    dispatcher: createPollDispatcher(),
    consumers,
    assignmentPollMs: 50,
    ...settings,
  });
  const atEnd = new Set<string>();
  let startedAt = Number.NaN;
  const { promise: done, resolve, reject } = Promise.withResolvers<void>();
  worker.events.on("consumer:acquired", () => {
    if (Number.isNaN(startedAt)) startedAt = performance.now();
  });
  worker.events.on("consumer:caught-up", ({ consumer }) => {
    atEnd.add(consumer);
    if (atEnd.size === consumers.length) resolve();
  });
  worker.events.on("batch:failed", ({ error }) => reject(error));
  try {
    const ended = worker.start({ signal });
    await orAborted(signal, done, ended);
    return performance.now() - startedAt;
  } finally {
    await worker.stop();
    await store.close();
  }
}
