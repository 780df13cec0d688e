import { setTimeout as sleep } from "node:timers/promises";
import type { Display, Status } from "./status.ts";

/** What {@link keepShowing} needs. */
export interface KeepShowingOptions {
  readonly display: Display;
  /** Finds out how things stand. */
  readonly look: () => Promise<Status>;
  /** That could not be found out. Nothing is shown any more. */
  readonly onError: (error: unknown) => void;
  /** Ends it. */
  readonly signal: AbortSignal;
}

const everyMs = 250;

/** Shows how things stand, again and again, until the signal aborts or what it returns is called. */
export function keepShowing({ display, look, onError, signal }: KeepShowingOptions): () => void {
  const stopping = new AbortController();
  const stopped = AbortSignal.any([signal, stopping.signal]);

  async function run(): Promise<void> {
    while (!stopped.aborted) {
      const status = await look();
      if (!stopped.aborted) display.show(status);
      await sleep(everyMs, undefined, { signal: stopped }).catch(() => undefined);
    }
  }

  run().catch((error: unknown) => {
    if (!stopped.aborted) onError(error);
  });
  return () => stopping.abort();
}
