import { checkInteger } from "@pup/core";
import { type CountingClock, countPending } from "../counting-clock.ts";
import type { ManualClock } from "../manual-clock.ts";
import { createHandlers, type HandlerCall, type Handlers } from "./handlers.ts";

/** Less than the five seconds after which vitest and jest end a test without a word. */
const PATIENCE_MS = 4_000;

/** How much time may pass for one promise, in milliseconds: workers have something to do for ever. */
const MOST_MS = 600_000;

/** Time that is turned by hand, for workers whose handlers may take real time as well. */
export interface VirtualTime {
  /** For the test and its handlers. */
  readonly clock: ManualClock;
  /** The same time, for stores and workers. */
  readonly own: CountingClock;
  readonly handlers: Handlers;
  /** Something is to come on the clock that neither a store nor a worker has asked for. */
  readonly hasForeignTimers: boolean;
  /**
   * Goes on to the next thing that happens. While handlers are under way that wait for nothing on the clock, that is their end,
   * in real time; else the next callback.
   *
   * @param untilMs - call nothing that falls due later than this
   * @returns false when nothing is left that could happen
   * @throws an error that names the handler when none settles in time
   */
  step(untilMs?: number): Promise<boolean>;
  /**
   * Lets time pass until the promise settles, and returns its outcome.
   *
   * @throws an error when nothing is left that could settle it, ten minutes have passed, or a handler never settles
   */
  run<Result>(promise: Promise<Result>): Promise<Result>;
}

/** How a test in virtual time treats handlers that take real time. */
export interface VirtualTimeOptions {
  /**
   * How long a handler may take in real time, in milliseconds, before the test fails and is told which one it waits for.
   *
   * @defaultValue `4_000`
   */
  readonly patienceMs?: number | undefined;
}

/** Creates it on a clock that others may use, too. */
export function createVirtualTime(
  clock: ManualClock,
  { patienceMs = PATIENCE_MS }: VirtualTimeOptions = {},
): VirtualTime {
  checkInteger("patienceMs", patienceMs);
  const own = countPending(clock);
  const handlers = createHandlers();
  const hasForeignTimers = () => clock.pending > own.pending;

  async function step(untilMs?: number): Promise<boolean> {
    const { underWay } = handlers;
    // A worker gives its handlers a limited time. That must not run out while they wait for something in real time.
    if (underWay.length === 0 || hasForeignTimers()) return clock.step(untilMs);
    if (!(await handlers.waitForOne(patienceMs))) throw new Error(describeImpatience(underWay, patienceMs));
    await clock.settle();
    return true;
  }

  return {
    clock,
    own,
    handlers,
    get hasForeignTimers() {
      return hasForeignTimers();
    },
    step,
    async run(promise) {
      let settled = false;
      const end = () => {
        settled = true;
      };
      promise.then(end, end);
      await clock.settle();
      const untilMs = clock.now() + MOST_MS;
      while (!settled && (await step(untilMs)));
      if (!settled)
        throw new Error(`Expected the promise to settle, but it has not within ${MOST_MS} ms of virtual time.`);
      return promise;
    },
  };
}

function describeImpatience(underWay: readonly HandlerCall[], patienceMs: number): string {
  const who = underWay.map(({ consumer, worker }) => `"${consumer}" on ${worker}`).join(" and ");
  return (
    `Expected the handler of consumer ${who} to settle, but it has not within \`patienceMs\` (${patienceMs}) of real time. It ` +
    "waits for nothing on the test's clock: for a promise that never settles, for a row that an open transaction holds, or for " +
    "real time or I/O. In a harness, `advance` lets time pass all the same."
  );
}
