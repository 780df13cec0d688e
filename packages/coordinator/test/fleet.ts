import {
  type Consumer,
  defineConsumer,
  type NewEvent,
  type RecordedEvent,
  type TransactionalConsumer,
  type WorkerEvents,
} from "@pup/core";
import {
  createManualClock,
  createMemoryDispatcher,
  createMemoryStore,
  createSeededRandomness,
  type EventRecording,
  type MemoryStore,
  type MemoryStoreOptions,
  type MemoryTransaction,
  recordEvents,
} from "@pup/testing";
import { createWorker } from "../src/create-worker.ts";
import type { WorkerOptions } from "../src/options.ts";
import type { Worker } from "../src/worker.ts";

type FleetConsumer = Consumer<MemoryTransaction>;
/** A consumer with `handle`. */
export type SingleEventConsumer = Extract<TransactionalConsumer<MemoryTransaction>, { handle: unknown }>;

/** A worker as one process of several: with a connection of its own, which can be cut off. */
export interface Member {
  readonly worker: Worker;
  readonly recorded: EventRecording<WorkerEvents>;
  /** What `start` promised. */
  readonly ended: Promise<void>;
  readonly connection: MemoryStore;
  /** The process dies: nothing of it reaches the server any more. */
  kill(): void;
}

/** Several workers in one process, on one server in memory and one clock that is turned by hand. */
export function createFleet(storeOptions: MemoryStoreOptions = {}) {
  const clock = createManualClock();
  const random = createSeededRandomness(7);
  const store = createMemoryStore({ clock, random, ...storeOptions });

  return {
    clock,
    store,

    /** Starts a worker. Every option not given is the default, as in production. */
    start(
      consumers: readonly FleetConsumer[],
      options: Partial<WorkerOptions<MemoryTransaction>> = {},
      beforeOperation?: MemoryStoreOptions["beforeOperation"],
    ): Member {
      const connection = store.connect({ beforeOperation });
      const dispatcher = createMemoryDispatcher(connection);
      const worker = createWorker({ store: connection, dispatcher, consumers, clock, random, ...options });
      const recorded = recordEvents(worker.events);
      const ended = worker.start();
      // A killed worker's end interests nobody.
      ended.catch(() => undefined);
      return { worker, recorded, ended, connection, kill: () => connection.kill() };
    },

    /** Stops a worker while time goes on. */
    async stop(member: Member): Promise<void> {
      await clock.runUntil(member.worker.stop());
    },

    /** Who runs which consumer, by worker id. */
    owners(members: readonly Member[]): Record<string, string[]> {
      return Object.fromEntries(
        members.map(({ worker }) => [
          worker.id,
          worker
            .health()
            .consumers.filter(({ state }) => state === "running")
            .map(({ name }) => name),
        ]),
      );
    },

    /** Appends one event to an aggregate of its own. */
    append: (id: string, event: Partial<NewEvent> = {}) => store.append([orderPlaced(id, event)]),
  };
}

/** An event of the aggregate with this id. */
export function orderPlaced(id: string, event: Partial<NewEvent> = {}): NewEvent {
  return { aggregateType: "Order", aggregateId: id, type: "OrderPlaced", payload: { id }, ...event };
}

/** A consumer that keeps a list of what it has handled in its transaction's tables. */
export function recorder(name: string, consumer: Partial<SingleEventConsumer> = {}): FleetConsumer {
  return defineConsumer<MemoryTransaction>({
    name,
    handle: (event, { tx }) => noteHandled(tx, name, event),
    ...consumer,
  });
}

/** Adds the event to the consumer's list, as part of the transaction. */
export async function noteHandled(tx: MemoryTransaction, consumer: string, event: RecordedEvent): Promise<void> {
  await tx.table<string[]>("handled").update(consumer, (handled = []) => [...handled, event.aggregateId]);
}

/** What a {@link recorder} has handled and committed, in order: aggregate ids. */
export function handledBy(store: MemoryStore, consumer: string): readonly string[] {
  return store.table<string[]>("handled").get(consumer) ?? [];
}
