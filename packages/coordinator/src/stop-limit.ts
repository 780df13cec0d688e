import { type Clock, InvalidStateError, type Logger } from "@pup/core";
import { withTimeLimit } from "./time-limit.ts";

/** The time that a worker takes for stopping, whatever the database does. Counts from {@link StopLimit.begin}. */
export interface StopLimit {
  /** Begins to count. Later calls change nothing. */
  begin(): void;
  /** Aborts when running batches have had their `shutdownTimeoutMs`. */
  readonly abandon: AbortSignal;
  /** Waits for running batches to end; once they are given up, a moment more at most. Never rejects. */
  drained(draining: Promise<unknown>): Promise<void>;
  /** Waits for something else to end, as long as there is time. Never rejects. What goes on afterwards ends by itself. */
  ended(what: string, ending: Promise<unknown>): Promise<void>;
  /** Counts no more. */
  dispose(): void;
}

/** What a stop needs. */
export interface StopLimitOptions {
  readonly shutdownTimeoutMs: number;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Time for ending what batches have left on the server, after they were given up, in milliseconds. */
const ABANDONED_MS = 3_000;

/** Time for everything after `shutdownTimeoutMs`, in milliseconds: the others find out by themselves what was not told then. */
export const LAST_WORDS_MS = 5_000;

/** Creates the limit of one worker. */
export function createStopLimit({ shutdownTimeoutMs, clock, logger }: StopLimitOptions): StopLimit {
  const abandon = new AbortController();
  let cancelAbandon = (): void => undefined;
  let begunAt: number | null = null;

  function begin(): void {
    if (begunAt !== null) return;
    begunAt = clock.now();
    cancelAbandon = clock.after(shutdownTimeoutMs, () => {
      abandon.abort(
        new InvalidStateError(`The batch did not finish within \`shutdownTimeoutMs\` (${shutdownTimeoutMs}).`),
      );
    });
  }

  async function within(afterShutdownMs: number, what: string, ending: Promise<unknown>): Promise<void> {
    begin();
    const leftMs = (begunAt ?? 0) + shutdownTimeoutMs + afterShutdownMs - clock.now();
    try {
      await withTimeLimit(clock, Math.max(0, leftMs), what, () => ending);
    } catch (error) {
      logger.warn({ err: error }, "did not end in good order; the worker stops without it");
    }
  }

  return {
    begin,
    abandon: abandon.signal,
    drained: (draining) => within(ABANDONED_MS, "the end of the consumers", draining),
    ended: (what, ending) => within(LAST_WORDS_MS, what, ending),
    dispose: () => cancelAbandon(),
  };
}
