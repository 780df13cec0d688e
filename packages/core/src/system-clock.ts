import type { Clock, Randomness } from "./clock.ts";

/** The time of this process. The only place, with {@link systemRandomness}, where pup asks the platform. */
export const systemClock: Clock = {
  now: () => performance.now(),
  after(delayMs, callback) {
    const timer = setTimeout(callback, delayMs);
    return () => clearTimeout(timer);
  },
};

/** Chance from the platform. */
export const systemRandomness: Randomness = {
  fraction: () => Math.random(),
  uuid: () => crypto.randomUUID(),
};
