import type { Clock } from "@pup/core";

/** A clock that knows how many callbacks are still to come. */
export interface CountingClock extends Clock {
  readonly pending: number;
}

/** Counts what one part has pending on a clock that it may share with others. */
export function countPending(clock: Clock): CountingClock {
  const pending = new Set<object>();
  return {
    now: () => clock.now(),
    after(delayMs, callback) {
      const timer = {};
      pending.add(timer);
      const cancel = clock.after(delayMs, () => {
        pending.delete(timer);
        callback();
      });
      return () => {
        pending.delete(timer);
        cancel();
      };
    },
    get pending() {
      return pending.size;
    },
  };
}
