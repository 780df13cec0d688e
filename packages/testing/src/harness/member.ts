import {
  type Consumer,
  createEvents,
  type Dispatcher,
  type EventSink,
  type Logger,
  type WorkerEvents,
} from "@pup/core";
import { forwardEvents } from "../forward-events.ts";
import type { MemoryStore } from "../memory/memory-store.ts";
import type { MemoryTransaction } from "../memory/memory-transaction.ts";
import { type EventRecording, recordEvents } from "../record-events.ts";
import { createSeededRandomness } from "../seeded-randomness.ts";
import type { CreateWorker, WorkerUnderTest } from "../worker-under-test.ts";
import { createProcessClock } from "./process-clock.ts";
import type { VirtualTime } from "./virtual-time.ts";

/** One worker of a harness: a process of its own, as far as the others can tell. */
export interface HarnessWorker<Worker extends WorkerUnderTest = WorkerUnderTest> {
  /** `"worker-1"` for the first one that was started. */
  readonly name: string;
  readonly worker: Worker;
  /** Its connection to the store: cut it, or the control sessions on it, to make trouble for this worker only. */
  readonly connection: MemoryStore;
  readonly dispatcher: Dispatcher;
  /** What the worker has emitted. */
  readonly recorded: EventRecording<WorkerEvents>;
  /** Names of the consumers that it runs at this moment, sorted. */
  readonly running: readonly string[];
  /** Stops it in good order, while time passes. */
  stop(): Promise<void>;
  /**
   * Ends it as `kill -9` does: its transactions roll back, and it does nothing any more. Only a handler that is under way cannot be
   * stopped in the middle of what it does outside of its transaction.
   */
  kill(): void;
}

/** A worker as the harness itself sees it. */
export interface Member<Worker extends WorkerUnderTest = WorkerUnderTest> extends HarnessWorker<Worker> {
  /** Names of the consumers whose code it has. */
  readonly offered: readonly string[];
  /** What its start rejected with; undefined when it has not. */
  readonly failure: unknown;
}

/** What a worker of a harness lives in. */
export interface MemberOptions<Worker extends WorkerUnderTest> {
  readonly name: string;
  readonly seed: number;
  readonly store: MemoryStore;
  readonly time: VirtualTime;
  readonly createWorker: CreateWorker<MemoryTransaction, Worker>;
  readonly createDispatcher: (connection: MemoryStore) => Dispatcher;
  readonly consumers: (connection: MemoryStore) => readonly Consumer<MemoryTransaction>[];
  readonly logger: Logger;
  /** Gets a copy of everything that the worker emits. */
  readonly events: EventSink<WorkerEvents>;
  /** Told when it has stopped or was killed. */
  readonly onEnd: (member: Member<Worker>) => void;
}

/** Starts a worker. */
export function startMember<Worker extends WorkerUnderTest>(options: MemberOptions<Worker>): Member<Worker> {
  const { name, store, time, logger, events } = options;
  const clock = createProcessClock(time.own);
  let isDead = false;
  const connection = store.connect({ applicationName: name });
  const dispatcher = options.createDispatcher(connection);
  const consumers = options.consumers(connection);
  const worker = options.createWorker({
    store: connection,
    dispatcher,
    consumers: consumers.map((consumer) => time.handlers.watch(consumer, name)),
    clock,
    random: createSeededRandomness(options.seed),
    logger: untilDeath(logger, () => isDead),
  });
  const own = createEvents<WorkerEvents>();
  const forwarding = [forwardEvents<WorkerEvents>(worker.events, own), forwardEvents<WorkerEvents>(own, events)];
  const recorded = recordEvents<WorkerEvents>(own);
  let failure: unknown;

  const ended = worker.start().then(
    () => options.onEnd(member),
    (error: unknown) => {
      failure = error;
    },
  );

  const member: Member<Worker> = {
    name,
    worker,
    connection,
    dispatcher,
    recorded,
    offered: consumers.map((consumer) => consumer.name),
    get failure() {
      return failure;
    },
    get running() {
      const { consumers: all } = worker.health();
      return all.flatMap(({ name: consumer, state }) => (state === "running" ? [consumer] : [])).sort();
    },
    async stop() {
      if (isDead) return;
      await time.run(Promise.all([worker.stop(), ended]));
    },
    kill() {
      if (isDead) return;
      isDead = true;
      clock.end();
      for (const undo of forwarding) undo();
      connection.kill();
      // Only so that nothing is left of it: a dispatcher ends without a word to others.
      void dispatcher.stop();
      time.handlers.bury(name);
      options.onEnd(member);
    },
  };
  return member;
}

/** A logger that takes no more lines from a worker that was killed. */
function untilDeath(logger: Logger, isDead: () => boolean): Logger {
  const pass =
    (level: keyof Logger): Logger["info"] =>
    (facts, message) => {
      if (!isDead()) logger[level](facts, message);
    };
  return { debug: pass("debug"), info: pass("info"), warn: pass("warn"), error: pass("error") };
}
