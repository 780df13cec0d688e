export { createManualClock, type ManualClock } from "./manual-clock.ts";
export { createManualDispatcher, type ManualDispatcher } from "./manual-dispatcher.ts";
export { type EventRecording, type Recorded, recordEvents } from "./record-events.ts";
export { createSeededRandomness } from "./seeded-randomness.ts";
