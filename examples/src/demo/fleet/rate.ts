/** Counts, and says how many per second there were lately. */
export interface Rate {
  readonly total: number;
  add(count: number): void;
  perSecond(): number;
}

/** Creates a counter with a rate over the last `windowMs` milliseconds. */
export function createRate(now: () => number, windowMs = 2_000): Rate {
  const startedAt = now();
  const recent: { readonly at: number; readonly count: number }[] = [];
  let total = 0;
  return {
    get total() {
      return total;
    },
    add(count) {
      if (count === 0) return;
      total += count;
      recent.push({ at: now(), count });
    },
    perSecond() {
      const since = now() - windowMs;
      while (recent[0] && recent[0].at <= since) recent.shift();
      const seconds = Math.min(windowMs, Math.max(now() - startedAt, windowMs / 4)) / 1_000;
      return Math.round(recent.reduce((sum, { count }) => sum + count, 0) / seconds);
    },
  };
}
