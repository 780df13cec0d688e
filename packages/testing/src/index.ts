export { createManualClock, type ManualClock } from "./manual-clock.ts";
export { createManualDispatcher, type ManualDispatcher } from "./manual-dispatcher.ts";
export type { MemoryControlSession } from "./memory/control-session.ts";
export type { MemorySignals } from "./memory/database.ts";
export {
  createMemoryStore,
  type MemoryStore,
  type MemoryStoreOptions,
  type OpenMemoryTransaction,
} from "./memory/memory-store.ts";
export type { MemoryTable, MemoryTransaction } from "./memory/memory-transaction.ts";
export { createMemoryDispatcher } from "./memory-dispatcher.ts";
export { type EventRecording, type Recorded, recordEvents } from "./record-events.ts";
export { type ConsumerRun, type RunConsumerOptions, runConsumer } from "./run-consumer.ts";
export { createSeededRandomness } from "./seeded-randomness.ts";
