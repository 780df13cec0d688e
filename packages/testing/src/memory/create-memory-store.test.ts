import { describe, expect } from "vitest";
import {
  batchRunnerContract,
  checkpointStoreContract,
  coordinationContract,
  deadLettersContract,
  eventLogContract,
  eventStoreContract,
  type StoreSetup,
} from "../contracts/index.ts";
import { createManualClock } from "../manual-clock.ts";
import { createSeededRandomness } from "../seeded-randomness.ts";
import type { MemoryControlSession } from "./control-session.ts";
import { createMemoryStore } from "./create-memory-store.ts";
import type { MemoryStoreOptions } from "./memory-store.ts";
import type { MemoryTransaction } from "./memory-transaction.ts";

const LEASE_MS = 1_500;

async function openMemoryStore(options: MemoryStoreOptions = {}): Promise<StoreSetup<MemoryTransaction>> {
  const clock = createManualClock();
  const store = createMemoryStore({ clock, random: createSeededRandomness(1), ...options });
  return {
    store,
    other: store.connect(),
    begin: () => store.begin(),
    elapse: (durationMs) => clock.advance(durationMs),
    loseTransaction: async (tx) => store.terminate(tx),
    loseSession: async (session) => (session as MemoryControlSession).kill(),
    restart: async () => store.restart(),
    async dispose() {
      store.kill();
      await clock.settle();
      expect(clock.pending).toBe(0);
    },
  };
}

describe("In-memory event store", () => {
  eventStoreContract(() => openMemoryStore());
});

describe("In-memory event log", () => {
  eventLogContract(() => openMemoryStore());
});

describe("In-memory checkpoint store", () => {
  checkpointStoreContract(() => openMemoryStore());
});

describe("In-memory batch runner", () => {
  batchRunnerContract(() => openMemoryStore());
});

describe("In-memory dead letters", () => {
  deadLettersContract(() => openMemoryStore());
});

describe("In-memory coordination", () => {
  coordinationContract(() => openMemoryStore());
});

describe("In-memory coordination by leases", () => {
  coordinationContract(async () => ({
    ...(await openMemoryStore({ sessionLocks: false, leaseDurationMs: LEASE_MS })),
    leaseDurationMs: LEASE_MS,
  }));
});
