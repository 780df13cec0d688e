import {
  backOffMs,
  checkInteger,
  createEvents,
  createOutageLog,
  createPulse,
  type Dispatcher,
  type DispatcherContext,
  type DispatcherEvents,
  type GlobalPosition,
  InvalidStateError,
  type Pulse,
  StartAbortedError,
  sleep,
} from "@pup/core";

/** Settings of {@link createPollDispatcher}. */
export interface PollDispatcherOptions {
  /**
   * Time from one question to the next, in milliseconds. A new event waits half of it on average. One question costs the
   * database little, and a process asks once whatever the number of its consumers.
   *
   * @defaultValue `200`
   */
  readonly intervalMs?: number | undefined;
}

/** What {@link createPollDispatcher} uses unless told otherwise. */
export const pollDispatcherDefaults = { intervalMs: 200 } as const satisfies PollDispatcherOptions;

/** Longest wait between two questions while the database does not answer, in milliseconds. */
const MAX_BACK_OFF_MS = 5_000;

/** A question without an answer for so long is a problem, in milliseconds. */
const SILENCE_MS = 10_000;

/**
 * Creates a dispatcher that asks the store for the latest position and wakes the worker when there is another one.
 *
 * @example
 * ```ts
 * const worker = createWorker({ store, dispatcher: createPollDispatcher({ intervalMs: 100 }), consumers });
 * ```
 *
 * @throws InvalidOptionError when an option has a value that cannot work
 */
export function createPollDispatcher(options: PollDispatcherOptions = {}): Dispatcher {
  const { intervalMs = pollDispatcherDefaults.intervalMs } = options;
  checkInteger("intervalMs", intervalMs);

  const events = createEvents<DispatcherEvents>();
  const stopping = new AbortController();
  let starting: Promise<void> | undefined;
  let problem: string | null = "It has not been started.";
  let pulse: Pulse | null = null;
  /** How long the present question has been waiting for its answer, in milliseconds; null when there is none. */
  let silenceMs: (() => number) | null = null;

  /** Asks until it is stopped. One question at a time: the next one begins when this one is answered, never before. */
  const poll = async (context: DispatcherContext, connected: () => void) => {
    const { clock, random, logger } = context;
    const outages = createOutageLog(logger, clock);
    let seen: GlobalPosition | null = null;
    let failures = 0;
    pulse = createPulse(clock);

    while (!stopping.signal.aborted) {
      const askedAtMs = clock.now();
      let waitMs: number;
      pulse.beat(0);
      silenceMs = () => clock.now() - askedAtMs;
      try {
        const latest = await context.latestPosition();
        if (stopping.signal.aborted) return;
        if (seen === null) {
          problem = null;
          events.emit("dispatcher:connected", { attempt: failures + 1 });
          if (failures > 0) outages.works({ failures }, "the database answers again");
          connected();
        }
        failures = 0;
        if (latest !== seen) context.wake();
        seen = latest;
        waitMs = intervalMs - silenceMs();
      } catch (error) {
        if (stopping.signal.aborted) return;
        failures += 1;
        // Whatever was seen before: after a recovery the worker looks for itself.
        seen = null;
        waitMs = backOffMs(failures, { initialMs: intervalMs, maxMs: Math.max(intervalMs, MAX_BACK_OFF_MS) }, random);
        problem = `The database does not answer: ${error instanceof Error ? error.message : String(error)}`;
        events.emit("dispatcher:disconnected", { error, retryInMs: waitMs });
        outages.failed({ err: error, failures, retryInMs: waitMs }, "cannot ask for the latest position");
      }
      silenceMs = null;
      pulse.beat(Math.max(0, waitMs));
      await sleep(clock, Math.max(0, waitMs), stopping.signal);
    }
  };

  const start = (context: DispatcherContext) =>
    new Promise<void>((resolve, reject) => {
      if (stopping.signal.aborted) throw new InvalidStateError("Expected a dispatcher that has not been stopped.");
      problem = "The database has not answered yet.";
      stopping.signal.addEventListener(
        "abort",
        () => reject(new StartAbortedError("The dispatcher was stopped before the database had answered.")),
        { once: true },
      );
      poll(context, resolve).catch(reject);
    });

  return {
    events,
    start(context) {
      starting ??= start(context);
      return starting;
    },
    stop() {
      stopping.abort();
      problem = "It has been stopped.";
      return Promise.resolve();
    },
    health() {
      const waitedMs = silenceMs?.() ?? 0;
      const silence = waitedMs > SILENCE_MS ? `The database has not answered for ${Math.round(waitedMs)} ms.` : null;
      return {
        healthy: problem === null && silence === null,
        problem: problem ?? silence,
        pulse: stopping.signal.aborted ? null : (pulse?.reading ?? null),
      };
    },
  };
}
