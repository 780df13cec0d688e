/** Measures how late the timers of this process are: a machine with too much to do is late for everything. */
export interface LagMeter {
  /** How late its timers were since the meter was started, all together, in milliseconds. */
  readonly totalMs: number;
  /** How late the latest of them was, in milliseconds. */
  readonly longestMs: number;
  stop(): void;
}

const everyMs = 50;

export function startLagMeter(): LagMeter {
  let totalMs = 0;
  let longestMs = 0;
  let dueAt = performance.now() + everyMs;
  const timer = setInterval(() => {
    const late = performance.now() - dueAt;
    dueAt = performance.now() + everyMs;
    // A few milliseconds are usual.
    if (late < 5) return;
    totalMs += late;
    longestMs = Math.max(longestMs, late);
  }, everyMs);
  timer.unref();
  return {
    get totalMs() {
      return Math.round(totalMs);
    },
    get longestMs() {
      return Math.round(longestMs);
    },
    stop: () => clearInterval(timer),
  };
}
