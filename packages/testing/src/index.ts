export { assertEmitted } from "./emitted/assert-emitted.ts";
export type { EmittedName, EmittedPattern } from "./emitted/emitted-types.ts";
export { emitterMatchers, type MatcherResult } from "./emitted/emitter-matchers.ts";
export type { AsymmetricMatcher, PayloadPattern } from "./emitted/payload-pattern.ts";
export {
  createGiven,
  type Given,
  type GivenEvents,
  type GivenOnStoreOptions,
  type GivenOptions,
  type WhenHandled,
} from "./given/create-given.ts";
export type { ConsumerOutcome } from "./given/outcome.ts";
export type { Happening, StepSettings } from "./given/play.ts";
export type { ConsumerTestStore, OpenedStore } from "./given/stage.ts";
export { createHarness, type Harness, type HarnessConsumers, type HarnessOptions } from "./harness/create-harness.ts";
export type { HarnessWorker } from "./harness/member.ts";
export type { SettleOptions } from "./harness/settle.ts";
export type { VirtualTimeOptions } from "./harness/virtual-time.ts";
export { createManualClock, type ManualClock } from "./manual-clock.ts";
export { createManualDispatcher, type ManualDispatcher } from "./manual-dispatcher.ts";
export type { MemoryControlSession } from "./memory/control-session.ts";
export { createMemoryStore } from "./memory/create-memory-store.ts";
export type { MemorySignals } from "./memory/database.ts";
export type { MemoryStore, MemoryStoreOptions, OpenMemoryTransaction } from "./memory/memory-store.ts";
export type { MemoryTable, MemoryTransaction } from "./memory/memory-transaction.ts";
export { createMemoryDispatcher } from "./memory-dispatcher.ts";
export { type EventRecording, type Recorded, recordEvents } from "./record-events.ts";
export { createSeededRandomness } from "./seeded-randomness.ts";
export type { CreateWorker, WorkerParts, WorkerUnderTest, WorkerUnderTestHealth } from "./worker-under-test.ts";
