import {
  type AppendOptions,
  type AppendResult,
  type Consumer,
  checkInteger,
  createEvents,
  type Dispatcher,
  InvalidStateError,
  type Logger,
  type NewEvent,
  silentLogger,
  type WorkerEvents,
} from "@pup/core";
import { createManualClock, type ManualClock } from "../manual-clock.ts";
import { createMemoryStore } from "../memory/create-memory-store.ts";
import type { MemoryStore } from "../memory/memory-store.ts";
import type { MemoryTransaction } from "../memory/memory-transaction.ts";
import { createMemoryDispatcher } from "../memory-dispatcher.ts";
import { type EventRecording, recordEvents } from "../record-events.ts";
import { createSeededRandomness } from "../seeded-randomness.ts";
import { type CreateWorker, checkCreateWorker, type WorkerUnderTest } from "../worker-under-test.ts";
import { type HarnessWorker, type Member, startMember } from "./member.ts";
import { type SettleOptions, settle } from "./settle.ts";
import { createVirtualTime, type VirtualTimeOptions } from "./virtual-time.ts";

/** Consumers as a harness takes them: a list, or a function of the store for those that append to it themselves. */
export type HarnessConsumers =
  | readonly Consumer<MemoryTransaction>[]
  | ((store: MemoryStore) => readonly Consumer<MemoryTransaction>[]);

/** Settings of {@link createHarness}. */
export interface HarnessOptions<Worker extends WorkerUnderTest = WorkerUnderTest> extends VirtualTimeOptions {
  /** `createWorker` of `@pup/coordinator`; or `(parts) => createWorker({ ...parts, sticky: true })`. */
  readonly createWorker: CreateWorker<MemoryTransaction, Worker>;
  /** Consumers that every worker has. */
  readonly consumers: HarnessConsumers;
  /** How many workers are started at once. @defaultValue `1` */
  readonly workers?: number | undefined;
  /** What wakes a worker. @defaultValue `createMemoryDispatcher` */
  readonly createDispatcher?: ((connection: MemoryStore) => Dispatcher) | undefined;
  /** Time, for a test whose consumers need it too. @defaultValue a new one, which is {@link Harness.clock} */
  readonly clock?: ManualClock | undefined;
  /** What the clock's zero is on the wall: times of events count from it. @defaultValue midnight, 1 January 2000, UTC */
  readonly startTime?: Date | undefined;
  /** Decides on ids and jitter: the same seed, the same run. @defaultValue `1` */
  readonly seed?: number | undefined;
  /** Where workers log. @defaultValue silent */
  readonly logger?: Logger | undefined;
}

/** Workers, their consumers and their store in one process, on a clock that is turned by hand. */
export interface Harness<Worker extends WorkerUnderTest = WorkerUnderTest> extends AsyncDisposable {
  /** Events, checkpoints, dead letters, and the tables that consumers have written. */
  readonly store: MemoryStore;
  readonly clock: ManualClock;
  /** Workers that are alive, in the order in which they were started. */
  readonly workers: readonly HarnessWorker<Worker>[];
  /** What all workers have emitted, in the order in which it happened. */
  readonly recorded: EventRecording<WorkerEvents>;
  /** Starts another worker. @param consumers - what it has, if that is not the same as the others: another release */
  start(consumers?: HarnessConsumers): HarnessWorker<Worker>;
  /** Appends events of one aggregate, as `store.append` does, and lets time pass if they have to wait for a row. */
  append(events: readonly NewEvent[], options?: AppendOptions<MemoryTransaction>): Promise<AppendResult>;
  /**
   * Lets time pass until everything is at rest: every event that was appended is handled by every consumer, retries and dead
   * letters that are due included, and the consumers are dealt out evenly among the workers that are alive. Handlers may take
   * real time meanwhile.
   *
   * @throws an error that says what stands still, and why, when that does not come: a consumer that has stopped, an open
   * transaction, no worker, a handler that never settles
   */
  settle(options?: SettleOptions): Promise<void>;
  /** Lets exactly so much time pass, in milliseconds, whatever is under way. */
  advance(durationMs: number): Promise<void>;
  /** Lets time pass until the promise settles, and returns its outcome: `harness.run(recorded.next("leader:lost"))`. */
  run<Result>(promise: Promise<Result>): Promise<Result>;
  /** Stops all workers, and gives up handlers that do not end. Twice is fine. */
  close(): Promise<void>;
}

const START_TIME = new Date("2000-01-01T00:00:00.000Z");

/**
 * Starts workers in this process, on a store in memory and in virtual time: nothing sleeps, and each run is like the other.
 *
 * @example
 * ```ts
 * await using harness = createHarness({ createWorker, consumers: [orders, billing], workers: 3 });
 * await harness.append([orderPlaced]);
 * await harness.settle();
 * expect(harness.store.table("orders").get("o-1")).toBe("placed");
 * ```
 *
 * @throws {@link InvalidOptionError} when an option cannot work
 */
export function createHarness<Worker extends WorkerUnderTest>(options: HarnessOptions<Worker>): Harness<Worker> {
  const {
    createWorker,
    consumers,
    workers = 1,
    createDispatcher = createMemoryDispatcher,
    clock = createManualClock(),
    startTime = START_TIME,
    seed = 1,
    logger = silentLogger,
  } = options;
  checkCreateWorker(createWorker);
  checkInteger("workers", workers, { min: 0 });

  const time = createVirtualTime(clock, options);
  const store = createMemoryStore({ clock: time.own, random: createSeededRandomness(seed), startTime });
  const events = createEvents<WorkerEvents>();
  const recorded = recordEvents<WorkerEvents>(events);
  const members = new Set<Member<Worker>>();
  const expected = new Set<string>();
  let started = 0;
  let closing: Promise<void> | undefined;

  function start(given: HarnessConsumers): HarnessWorker<Worker> {
    if (closing) throw new InvalidStateError("Expected a harness that is still open, but it was closed.");
    started += 1;
    const member = startMember({
      name: `worker-${started}`,
      seed: seed + started,
      store,
      time,
      createWorker,
      createDispatcher,
      consumers: typeof given === "function" ? given : () => given,
      logger,
      events,
      onEnd: (ended) => members.delete(ended),
    });
    members.add(member);
    for (const name of member.offered) expected.add(name);
    return member;
  }

  async function closeAll(): Promise<void> {
    // Time passes whatever handlers do: a worker waits for them for a limited time, and then gives them up.
    await clock.runUntil(Promise.all([...members].map(({ worker }) => worker.stop())));
    await clock.settle();
    recorded.stop();
  }

  for (let left = workers; left > 0; left--) start(consumers);
  const close = () => {
    closing ??= closeAll();
    return closing;
  };

  return {
    store,
    clock,
    get workers() {
      return [...members];
    },
    recorded,
    start: (given = consumers) => start(given),
    append: (appended, settings) => time.run(store.append(appended, settings)),
    settle(settings = {}) {
      const { except = [] } = settings;
      const look = () => ({
        store,
        members: [...members],
        consumers: [...expected].filter((name) => !except.includes(name)),
      });
      return settle(time, look, settings);
    },
    advance: (durationMs) => clock.advance(durationMs),
    run: (promise) => time.run(promise),
    close,
    [Symbol.asyncDispose]: close,
  };
}
