import {
  type AppendOptions,
  type AppendResult,
  type Clock,
  type DeadLetters,
  type NewEvent,
  type Randomness,
  systemClock,
  systemRandomness,
  type WorkerStore,
} from "@pup/core";
import { createHandlers, type Handlers } from "../harness/handlers.ts";
import { createVirtualTime, type VirtualTimeOptions } from "../harness/virtual-time.ts";
import { createManualClock } from "../manual-clock.ts";
import { createMemoryStore } from "../memory/create-memory-store.ts";
import type { MemoryStore } from "../memory/memory-store.ts";
import { createSeededRandomness } from "../seeded-randomness.ts";

/** What a test of a consumer asks of a store. Those in memory and those on PostgreSQL have it. */
export interface ConsumerTestStore<Tx> extends WorkerStore<Tx>, DeadLetters {
  append(events: readonly NewEvent[], options?: Pick<AppendOptions, "expectedVersion">): Promise<AppendResult>;
}

/** A store for one test, and how to be rid of it. */
export interface OpenedStore<Store> {
  /** Without events and checkpoints. */
  readonly store: Store;
  /** Called when the test is over, however it went. */
  close(): Promise<void>;
}

/** Where one test takes place. */
export interface Stage<Store> extends OpenedStore<Store> {
  readonly clock: Clock;
  readonly random: Randomness;
  readonly handlers: Handlers;
  /** Whether waiting costs time that somebody sits through. */
  readonly isRealTime: boolean;
  /** Lets time pass until the promise settles. */
  run<Result>(promise: Promise<Result>): Promise<Result>;
}

/** A stage in memory and in virtual time, the same in each run. */
export function openMemoryStage(options: VirtualTimeOptions): Stage<MemoryStore> {
  const time = createVirtualTime(createManualClock(), options);
  const startTime = new Date("2000-01-01T00:00:00.000Z");
  return {
    store: createMemoryStore({ clock: time.own, random: createSeededRandomness(1), startTime }),
    clock: time.own,
    random: createSeededRandomness(2),
    handlers: time.handlers,
    isRealTime: false,
    run: (promise) => time.run(promise),
    close: async () => undefined,
  };
}

/** A stage on a store that lives in real time. */
export function openRealStage<Store>({ store, close }: OpenedStore<Store>): Stage<Store> {
  return {
    store,
    clock: systemClock,
    random: systemRandomness,
    handlers: createHandlers(),
    isRealTime: true,
    run: (promise) => promise,
    close: () => close(),
  };
}
