import type { Clock } from "./clock.ts";

/** When a loop last turned, and whether it is late. */
export interface PulseReading {
  /** Time since its last turn began or ended, in milliseconds. */
  readonly lastBeatAgoMs: number;
  /** How much later the next one is than was announced, in milliseconds; 0 while it is not due. */
  readonly overdueMs: number;
}

/**
 * Tells a loop that waits from one that hangs. A loop beats when it turns, and says how long it means to wait: some wait 200
 * milliseconds, others half a minute, and both can hang.
 */
export interface Pulse {
  /** Null while there is no loop. */
  readonly reading: PulseReading | null;
  /**
   * The loop turns.
   *
   * @param nextInMs - when it will again at the latest, in milliseconds; 0 when it asks something now, which may take its time
   */
  beat(nextInMs: number): void;
  /** The loop has ended: nothing is due any more. */
  end(): void;
}

/**
 * Creates the pulse of one loop.
 *
 * @example
 * ```ts
 * const stopping = new AbortController();
 * const pulse = createPulse(systemClock);
 * while (!stopping.signal.aborted) {
 *   pulse.beat(0);
 *   await readSomething();
 *   pulse.beat(1_000);
 *   await sleep(systemClock, 1_000, stopping.signal);
 * }
 * pulse.end();
 * ```
 */
export function createPulse(clock: Pick<Clock, "now">): Pulse {
  let last: { readonly at: number; readonly dueAt: number } | null = null;

  return {
    get reading() {
      if (!last) return null;
      const now = clock.now();
      return { lastBeatAgoMs: now - last.at, overdueMs: Math.max(0, now - last.dueAt) };
    },
    beat(nextInMs) {
      const at = clock.now();
      last = { at, dueAt: at + nextInMs };
    },
    end() {
      last = null;
    },
  };
}
