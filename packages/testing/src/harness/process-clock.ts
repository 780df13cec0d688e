import type { Clock } from "@pup/core";

/** The clock of a process that can be killed. */
export interface ProcessClock extends Clock {
  /** Nothing is called back from now on. */
  end(): void;
}

/** Gives a process a clock that ends with it. */
export function createProcessClock(clock: Clock): ProcessClock {
  const owed = new Set<() => void>();
  let isOver = false;

  return {
    now: () => clock.now(),
    after(delayMs, callback) {
      if (isOver) return () => undefined;
      const cancelTimer = clock.after(delayMs, () => {
        owed.delete(cancel);
        callback();
      });
      const cancel = () => {
        owed.delete(cancel);
        cancelTimer();
      };
      owed.add(cancel);
      return cancel;
    },
    end() {
      isOver = true;
      for (const cancel of [...owed]) cancel();
    },
  };
}
