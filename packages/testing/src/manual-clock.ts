import { setImmediate as nextTurn } from "node:timers/promises";
import type { Clock } from "@pup/core";

/** A clock that stands still until it is turned. */
export interface ManualClock extends Clock {
  /**
   * Lets time pass: calls what falls due, in order of due time, and lets promises settle after each call, so that a loop
   * which sleeps again after its work is called as often as in real time.
   *
   * @throws what a callback throws
   */
  advance(durationMs: number): Promise<void>;
  /**
   * Lets time pass up to the one callback that falls due next, calls it, and lets promises settle: for whoever wants to look at
   * everything in between.
   *
   * @param untilMs - call nothing that falls due later than this, by {@link Clock.now}. Default: however late
   * @param options - `settled`: nothing was begun since the step before, so that no promise has to settle first
   * @returns false when there was nothing to call; no time has passed then
   * @throws what the callback throws
   */
  step(untilMs?: number, options?: { readonly settled?: boolean }): Promise<boolean>;
  /** Lets promises settle while no time passes. */
  settle(): Promise<void>;
  /**
   * Lets time pass from one due callback to the next until `promise` settles, and returns its outcome.
   *
   * @param maxMs - how much time may pass at most. Default: one hour
   * @throws an error when nothing is left that could settle the promise, or `maxMs` have passed
   */
  runUntil<Result>(promise: Promise<Result>, maxMs?: number): Promise<Result>;
  /**
   * Lets time pass until nothing is pending. For code that ends by itself: a loop never does.
   *
   * @param maxMs - how much time may pass at most. Default: one hour
   * @throws an error when something is still pending after `maxMs`
   */
  runAll(maxMs?: number): Promise<void>;
  /** How many callbacks are still to come. `0` after whatever was under test has stopped properly. */
  readonly pending: number;
}

interface Timer {
  readonly dueMs: number;
  readonly callback: () => void;
}

const ONE_HOUR_MS = 3_600_000;

/**
 * Creates a clock to turn by hand. It begins at 0.
 *
 * Promises settle between two callbacks: each waits for one turn of the event loop, which Node takes only when no promise job
 * is left, however long their chain. Work outside of this process (sockets, files) is not waited for.
 *
 * @example
 * ```ts
 * const clock = createManualClock();
 * const slept = sleep(clock, 1_000);
 * await clock.advance(1_000);
 * await slept;
 * ```
 */
export function createManualClock(): ManualClock {
  const timers = new Set<Timer>();
  let nowMs = 0;

  // A set keeps the order of insertion: of several that are due at once, the oldest comes first.
  const nextTimer = () => {
    let next: Timer | undefined;
    for (const timer of timers) if (next === undefined || timer.dueMs < next.dueMs) next = timer;
    return next;
  };

  const settle = async () => {
    await nextTurn();
  };

  const call = async (timer: Timer) => {
    timers.delete(timer);
    if (timer.dueMs > nowMs) nowMs = timer.dueMs;
    timer.callback();
    await settle();
  };

  const runWhile = async (goesOn: () => boolean, untilMs: number) => {
    await settle();
    for (let timer = nextTimer(); goesOn() && timer && timer.dueMs <= untilMs; timer = nextTimer()) await call(timer);
  };

  return {
    now: () => nowMs,
    after(delayMs, callback) {
      const timer = { dueMs: nowMs + Math.max(0, delayMs), callback };
      timers.add(timer);
      return () => {
        timers.delete(timer);
      };
    },

    async advance(durationMs) {
      const untilMs = nowMs + durationMs;
      await runWhile(() => true, untilMs);
      if (untilMs > nowMs) nowMs = untilMs;
    },
    async step(untilMs = Number.POSITIVE_INFINITY, { settled = false } = {}) {
      if (!settled) await settle();
      const timer = nextTimer();
      if (timer === undefined || timer.dueMs > untilMs) return false;
      await call(timer);
      return true;
    },
    settle,
    async runUntil(promise, maxMs = ONE_HOUR_MS) {
      let settled = false;
      const end = () => {
        settled = true;
      };
      promise.then(end, end);
      const startMs = nowMs;
      await runWhile(() => !settled, startMs + maxMs);
      if (!settled)
        throw new Error(`Expected the promise to settle, but ${describeStandstill(timers.size, startMs, nowMs)}.`);
      return promise;
    },
    async runAll(maxMs = ONE_HOUR_MS) {
      const startMs = nowMs;
      await runWhile(() => true, startMs + maxMs);
      if (timers.size > 0) {
        throw new Error(`Expected no callback to be left, but ${describeStandstill(timers.size, startMs, nowMs)}.`);
      }
    },
    get pending() {
      return timers.size;
    },
  };
}

function describeStandstill(pending: number, startMs: number, nowMs: number): string {
  return pending === 0
    ? "no callback is left that could settle it"
    : `${pending} are still pending after ${Math.round(nowMs - startMs)} ms`;
}
