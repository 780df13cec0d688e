export { assignConsumers } from "./assign-consumers.ts";
export { type BackOffBounds, backOffMs } from "./back-off.ts";
export { checkNewEvents, resolveExpectedVersion } from "./check-new-events.ts";
export type {
  AcquirableRequest,
  AcquireRequest,
  AcquireResult,
  Batch,
  BatchRunner,
  Checkpoint,
  CheckpointAdvance,
  CheckpointStore,
  Claim,
} from "./checkpoint.ts";
export type { Clock, Randomness } from "./clock.ts";
export {
  type Consumer,
  type ConsumerSettings,
  type DetachedConsumer,
  defineConsumer,
  type FailurePolicy,
  type HandlerContext,
  type StartFrom,
  type TransactionalConsumer,
  type TransactionalContext,
} from "./consumer.ts";
export { type ControlSignal, DEFAULT_NOTIFY_CHANNEL, EVENTS_SIGNAL, parseControlSignal } from "./control-signal.ts";
export type {
  AssignmentPlan,
  CapableWorker,
  ControlSession,
  Coordination,
  ElectionDriver,
  LeaderElection,
  Leadership,
  Survey,
  WorkerRegistration,
  WorkerStatus,
  WorkerView,
} from "./coordination.ts";
export type {
  BatchDeadLetters,
  DeadLetter,
  DeadLetterFailure,
  DeadLetterQuery,
  DeadLetterQueue,
  DeadLetterSelection,
  DeadLetters,
  NewDeadLetter,
} from "./dead-letters.ts";
export type { Dispatcher, DispatcherContext, DispatcherEvents, DispatcherHealth } from "./dispatcher.ts";
export { type CreateEventsOptions, createEvents, type EventSink, type EventSource } from "./emitter.ts";
export {
  BatchTimeoutError,
  ConcurrencyConflictError,
  DuplicateEventIdError,
  FencedError,
  HandlerRejectionError,
  InvalidEventError,
  InvalidOptionError,
  InvalidStateError,
  isPupError,
  MixedAggregatesError,
  NoEventsError,
  PayloadNotSerializableError,
  PayloadTooLargeError,
  PupError,
  SchemaMissingError,
  SchemaTooNewError,
  StartAbortedError,
  TransactionHijackedError,
  UnsupportedError,
} from "./errors.ts";
export type { AggregateRef, GlobalPosition, NewEvent, RecordedEvent } from "./event.ts";
export { type EventIdSource, uuidV7 } from "./event-id.ts";
export type {
  EventLog,
  EventScope,
  InFlightAppender,
  InFlightAppenders,
  LogPage,
  PageLimits,
  PositionRange,
  PositionScan,
  ReadLogRequest,
  ServerState,
} from "./event-log.ts";
export type { AppendOptions, AppendResult, EventStore, ExpectedVersion, Stream, StreamRange } from "./event-store.ts";
export { type Logger, silentLogger } from "./logger.ts";
export { createOutageLog, type OutageLog } from "./outage-log.ts";
export { createPulse, type Pulse, type PulseReading } from "./pulse.ts";
export { findUnserializable, type Unserializable } from "./serializable.ts";
export { beginSettling, type OpenHole, observeAppenders, observeScan, type SettledState } from "./settled-position.ts";
export { sleep } from "./sleep.ts";
export { systemClock, systemRandomness } from "./system-clock.ts";
export { checkInteger, checkName, type NumberBounds } from "./validate.ts";
export { createWakeUp, type WakeUp, type WakeUpToken } from "./wake-up.ts";
export type { WorkerEvents } from "./worker-events.ts";
export type { WorkerStore } from "./worker-store.ts";
