import type { Clock } from "./clock.ts";

/** A clock for this package's own tests, which cannot use the one of `@pup/testing`: that would be a circle. */
export interface SteppedClock extends Clock {
  /** Lets time pass and calls what falls due. */
  step(durationMs: number): void;
  readonly pending: number;
}

/** Creates a clock that stands still until it is stepped. */
export function createSteppedClock(): SteppedClock {
  const timers = new Map<object, { readonly dueMs: number; readonly callback: () => void }>();
  let nowMs = 0;
  return {
    now: () => nowMs,
    after(delayMs, callback) {
      const key = {};
      timers.set(key, { dueMs: nowMs + delayMs, callback });
      return () => timers.delete(key);
    },
    step(durationMs) {
      nowMs += durationMs;
      for (const [key, { dueMs, callback }] of [...timers]) {
        if (dueMs <= nowMs && timers.delete(key)) callback();
      }
    },
    get pending() {
      return timers.size;
    },
  };
}
