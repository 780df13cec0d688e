import {
  backOffMs,
  type Clock,
  createEvents,
  createWakeUp,
  InvalidStateError,
  StartAbortedError,
  sleep,
  type WorkerEvents,
} from "@pup/core";
import { createCheckpointSaver } from "./checkpoint-saver.ts";
import { type ConsumerLoop, createConsumerLoop } from "./consumer-loop.ts";
import { createConsumerSet } from "./consumer-set.ts";
import { findProblems } from "./health.ts";
import { createMembership, type Membership } from "./membership.ts";
import { type ResolvedConsumer, resolveWorkerOptions, type WorkerOptions } from "./options.ts";
import { runConsumersOnce } from "./run-once.ts";
import { createSettledTracker } from "./settled-tracker.ts";
import { isNoAnswer } from "./time-limit.ts";
import type { RunOnceOutcome, Worker, WorkerHealth } from "./worker.ts";

const START_BACK_OFF = { initialMs: 100, maxMs: 5_000 };

/**
 * Creates a worker. It does nothing until it is started.
 *
 * @example
 * ```ts
 * const worker = createWorker({ store, dispatcher: createPollDispatcher(), consumers: [orders, billing] });
 * const stopping = new AbortController();
 * process.once("SIGTERM", () => stopping.abort());
 * await worker.start({ signal: stopping.signal });
 * ```
 *
 * @throws {@link InvalidOptionError} when an option cannot work
 */
export function createWorker<Tx>(given: WorkerOptions<Tx>): Worker {
  const options = resolveWorkerOptions(given);
  const { store, dispatcher, clock, random, logger, shutdownTimeoutMs } = options;
  const workerId = random.uuid();
  const names = [...options.consumers.keys()];
  const events = createEvents<WorkerEvents>({
    onListenerError: (error, name) => logger.error({ err: error, event: name }, "a listener failed"),
  });

  const wakeUp = createWakeUp(clock);
  const tracker = createSettledTracker({ ...options, events, wakeUp, liveWorkers: () => membership?.liveWorkers ?? 1 });
  const saver = createCheckpointSaver({ store, clock, logger });
  const createLoop = (name: string, claim: "assigned" | "unowned"): ConsumerLoop => {
    const { consumer, settings } = options.consumers.get(name) as ResolvedConsumer<Tx>;
    return createConsumerLoop({ ...options, consumer, settings, workerId, claim, tracker, saver, events });
  };
  const consumers = createConsumerSet(names, (name) => createLoop(name, "assigned"), logger);
  let membership: Membership | null = null;
  const takePart = (ready: readonly string[]): Membership => {
    const onAssigned = consumers.apply;
    membership = createMembership({ ...options, workerId, consumers: ready, events, onAssigned });
    return membership;
  };

  let state: WorkerHealth["state"] = "new";
  let running: Promise<void> | null = null;
  let runningOnce: Promise<readonly RunOnceOutcome[]> | null = null;
  let startingSince: number | null = null;
  const stopping = new AbortController();

  async function run(): Promise<void> {
    state = "starting";
    startingSince = clock.now();
    const member = takePart(names);
    const ending = new AbortController();
    const background: Promise<void>[] = [];
    try {
      if (!(await connect(member))) return;
      background.push(tracker.run(ending.signal), member.run(ending.signal));
      const stopped = aborted(stopping.signal);
      // A dispatcher that cannot connect tries for ever: it ends by its own `stop`, which comes after the consumers have drained.
      await Promise.race([startDispatcher(member), stopped]);
      if (stopping.signal.aborted) return;
      state = "running";
      events.emit("worker:started", { workerId });
      logger.info({ workerId, consumers: names }, "worker started");
      await stopped;
    } finally {
      state = "stopping";
      member.resign();
      await drain();
      await stopDispatcher();
      ending.abort();
      wakeUp.ring();
      await Promise.all(background);
      await member.leave();
      state = "stopped";
      events.emit("worker:stopped", { workerId });
      logger.info({ workerId }, "worker stopped");
    }
  }

  /** Checks the tables and joins the others; tries again while the database is away. False when told to stop before. */
  async function connect(member: Membership): Promise<boolean> {
    let failures = 0;
    let cause: unknown;
    while (!stopping.signal.aborted) {
      try {
        await store.checkSchema();
        if (await member.join(stopping.signal)) return true;
      } catch (error) {
        if (!store.isTransient(error) && !isNoAnswer(error)) throw error;
        cause = error;
        failures += 1;
        const retryInMs = backOffMs(failures, START_BACK_OFF, random);
        logger.warn({ err: error, retryInMs }, "the database cannot be reached; trying again");
        await sleep(clock, retryInMs, stopping.signal);
      }
    }
    if (failures === 0) return false;
    throw new StartAbortedError(
      `The database could not be reached in ${failures} attempts before the worker was told to stop.`,
      { cause },
    );
  }

  function startDispatcher(member: Membership): Promise<void> {
    return dispatcher.start({
      wake: () => wakeUp.ring(),
      control: (signal) => member.control(signal),
      latestPosition: () => store.latestPosition(),
      clock,
      random,
      logger,
    });
  }

  /** Whatever becomes of the dispatcher, the worker has more to close. */
  async function stopDispatcher(): Promise<void> {
    try {
      await dispatcher.stop();
    } catch (error) {
      logger.warn({ workerId, err: error }, "the dispatcher did not stop in good order");
    }
  }

  async function runOnce(signal: AbortSignal | undefined): Promise<readonly RunOnceOutcome[]> {
    state = "running";
    const member = takePart([]);
    try {
      await store.checkSchema();
      return await runConsumersOnce({
        names,
        createLoop: (name) => createLoop(name, "unowned"),
        latestPosition: () => store.latestPosition(),
        tracker,
        membership: member,
        signal: AbortSignal.any([stopping.signal, ...(signal ? [signal] : [])]),
        shutdownTimeoutMs,
        clock,
      });
    } finally {
      state = "stopped";
    }
  }

  async function drain(): Promise<void> {
    const abandon = new AbortController();
    const cancel = clock.after(shutdownTimeoutMs, () => {
      abandon.abort(
        new InvalidStateError(`The batch did not finish within \`shutdownTimeoutMs\` (${shutdownTimeoutMs}).`),
      );
    });
    await consumers.drain(abandon.signal);
    cancel();
  }

  return {
    id: workerId,
    events,

    start({ signal } = {}) {
      if (running) return running;
      if (state !== "new") return Promise.reject(alreadyUsed(state));
      const stop = () => stopping.abort();
      signal?.addEventListener("abort", stop, { once: true });
      if (signal?.aborted) stop();
      running = run().finally(() => signal?.removeEventListener("abort", stop));
      return running;
    },

    async stop() {
      stopping.abort();
      if (state === "new") state = "stopped";
      await (running ?? runningOnce)?.catch(() => undefined); // Its caller has been told.
    },

    runOnce({ signal } = {}) {
      if (state !== "new") return Promise.reject(alreadyUsed(state));
      runningOnce = runOnce(signal);
      return runningOnce;
    },

    health() {
      const consumerHealth = consumers.health();
      const problems = findProblems({
        consumers: consumerHealth,
        dispatcher: state === "running" ? dispatcher.health() : null,
        startingForMs: sinceMs(clock, state === "starting" ? startingSince : null),
        disconnectedForMs: sinceMs(clock, membership?.disconnectedSince ?? null),
        logFailingForMs: sinceMs(clock, tracker.failingSince),
        unhealthyAfterMs: options.unhealthyAfterMs,
      });
      return {
        state,
        healthy: problems.length === 0 && state !== "stopped",
        problems,
        leads: membership?.leads ?? false,
        settledPosition: tracker.position,
        consumers: consumerHealth,
      };
    },
  };
}

function sinceMs(clock: Clock, since: number | null): number {
  return since === null ? 0 : clock.now() - since;
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    signal.addEventListener("abort", () => resolve(), { once: true });
  });
}

function alreadyUsed(state: string): InvalidStateError {
  return new InvalidStateError(`A worker runs once, and this one is ${state}: create a new one.`);
}
