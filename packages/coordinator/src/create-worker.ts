import {
  backOffMs,
  createEvents,
  createOutageLog,
  createWakeUp,
  InvalidStateError,
  StartAbortedError,
  sleep,
  type WorkerEvents,
} from "@pup/core";
import { createCheckpointSaver } from "./checkpoint-saver.ts";
import { type ConsumerLoop, createConsumerLoop } from "./consumer-loop.ts";
import { createConsumerSet } from "./consumer-set.ts";
import type { WorkerHealth } from "./health.ts";
import { createLogReader } from "./log-reader.ts";
import { createMembership, type Membership } from "./membership.ts";
import { type ResolvedConsumer, resolveWorkerOptions, type WorkerOptions } from "./options.ts";
import { readHealth } from "./read-health.ts";
import { runConsumersOnce } from "./run-once.ts";
import { createSettledTracker } from "./settled-tracker.ts";
import { createStopLimit, LAST_WORDS_MS } from "./stop-limit.ts";
import { createTakeOverQueue } from "./take-over-queue.ts";
import { isNoAnswer } from "./time-limit.ts";
import type { RunOnceOutcome, Worker } from "./worker.ts";

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
  const { store, dispatcher, clock, random, logger } = options;
  const workerId = random.uuid();
  const names = [...options.consumers.keys()];
  const events = createEvents<WorkerEvents>({
    onListenerError: (error, name) => logger.error({ err: error, event: name }, "a listener failed"),
  });

  const wakeUp = createWakeUp(clock);
  const reader = createLogReader(options);
  const tracker = createSettledTracker({
    ...options,
    events,
    wakeUp,
    liveWorkers: () => membership?.liveWorkers ?? 1,
    onHead: reader.offer,
    onForgotten: reader.forget,
  });
  const saver = createCheckpointSaver({ store, clock, logger });
  const queue = createTakeOverQueue({ ...options, workerId });
  const outages = createOutageLog(logger, clock);
  const createLoop = (name: string, claim: "assigned" | "unowned"): ConsumerLoop => {
    const { consumer, settings } = options.consumers.get(name) as ResolvedConsumer<Tx>;
    return createConsumerLoop({
      ...options,
      consumer,
      settings,
      workerId,
      claim,
      tracker,
      reader,
      queue,
      saver,
      outages,
      events,
    });
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
  const limit = createStopLimit(options);

  async function run(): Promise<void> {
    state = "starting";
    startingSince = clock.now();
    const member = takePart(names);
    const ending = new AbortController();
    const background: Promise<void>[] = [];
    try {
      if (!(await untilTooLate(connect(member)))) return;
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
      limit.begin();
      member.resign();
      await limit.drained(consumers.drain(limit.abandon));
      await limit.ended("reading ahead", reader.ended());
      await limit.ended("the dispatcher", dispatcher.stop());
      ending.abort();
      wakeUp.ring();
      await limit.ended("what went on beside the consumers", Promise.all(background));
      await limit.ended("signing off", member.leave());
      limit.dispose();
      state = "stopped";
      events.emit("worker:stopped", { workerId });
      logger.info({ workerId }, "worker stopped");
    }
  }

  /** What is asked when the worker is told to stop gets a moment to be answered, and is then left alone. */
  async function untilTooLate(connecting: Promise<boolean>): Promise<boolean> {
    connecting.catch(() => undefined);
    const tooLate = new AbortController();
    try {
      return await Promise.race([connecting, aborted(stopping.signal).then(() => giveUp(tooLate.signal))]);
    } finally {
      tooLate.abort();
    }
  }

  async function giveUp(answered: AbortSignal): Promise<never> {
    await sleep(clock, LAST_WORDS_MS, answered);
    throw new StartAbortedError("The database had not answered when the worker was told to stop.");
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
        outages.failed({ err: error, retryInMs }, "the database cannot be reached; trying again");
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
        reader,
        membership: member,
        signal: AbortSignal.any([stopping.signal, ...(signal ? [signal] : [])]),
        limit,
      });
    } finally {
      state = "stopped";
    }
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
      await running?.catch(() => undefined); // Its caller has been told.
      if (!runningOnce) return;
      await limit.ended(
        "the single run",
        runningOnce.catch(() => undefined),
      );
      limit.dispose();
    },

    runOnce({ signal } = {}) {
      if (state !== "new") return Promise.reject(alreadyUsed(state));
      runningOnce = runOnce(signal);
      return runningOnce;
    },

    health: () => readHealth({ ...options, state, startingSince, tracker, consumers, membership }),
  };
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
