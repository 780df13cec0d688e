import type { AggregateRef, GlobalPosition, NewEvent, RecordedEvent } from "./event.ts";

/**
 * What an append expects to find:
 * `"any"` extends the stream whatever its version, `"no-stream"` wants it empty,
 * a number wants exactly that version (`0` is the same as `"no-stream"`).
 */
export type ExpectedVersion = "any" | "no-stream" | number;

/** Settings of one append. */
export interface AppendOptions<Tx = unknown> {
  /** Version that the aggregate must have. @defaultValue `"any"` */
  readonly expectedVersion?: ExpectedVersion;
  /**
   * A transaction of the caller: the events commit with it or not at all. Without it the append is a transaction of its own.
   * A refused append (conflict, duplicate, bad event) leaves the caller's transaction usable.
   */
  readonly tx?: Tx;
  /**
   * Whether workers are told. `false` suits a caller's transaction in which a notification would queue commits up:
   * call the store's `wake()` after the commit instead. Workers find the events either way, if later.
   *
   * @defaultValue `true`
   */
  readonly wake?: boolean;
}

/** What an append did. */
export interface AppendResult {
  /** The events with their places, in the order given; payload and metadata are the caller's own objects. */
  readonly events: readonly RecordedEvent[];
  /** Version of the aggregate before the append; 0 when there was no stream. */
  readonly fromVersion: number;
  /** Version of the aggregate after the append. */
  readonly toVersion: number;
  /** True when these event ids had been appended before: nothing was written, and the places are those of the first time. */
  readonly duplicate: boolean;
}

/** Versions to read, both inclusive. */
export interface StreamRange {
  /** @defaultValue the first */
  readonly fromVersion?: number;
  /** @defaultValue the last */
  readonly toVersion?: number;
}

/** The events of one aggregate, oldest first. */
export interface Stream extends AggregateRef {
  readonly events: readonly RecordedEvent[];
  /** Version of the aggregate, also when only a part of its events was asked for; 0 when it has none. */
  readonly version: number;
  /** True when the aggregate has no events at all. */
  readonly isEmpty: boolean;
  /** How many events are in {@link Stream.events}. */
  readonly length: number;
}

/** The writing half of the log, and the reading of single aggregates. */
export interface EventStore<Tx = unknown> {
  /**
   * Appends events of one aggregate, all or none.
   *
   * @throws {@link ConcurrencyConflictError} when the aggregate has another version than expected
   * @throws {@link NoEventsError} when the list is empty
   * @throws {@link MixedAggregatesError} when the events belong to more than one aggregate
   * @throws {@link DuplicateEventIdError} when an id is taken by another append (a plain repetition succeeds instead)
   * @throws {@link PayloadNotSerializableError} when JSON or PostgreSQL cannot carry a payload
   * @throws {@link PayloadTooLargeError} when the events together exceed what one append may carry
   * @throws {@link InvalidEventError} when another field cannot be stored
   */
  append(events: readonly NewEvent[], options?: AppendOptions<Tx>): Promise<AppendResult>;

  /** Reads one aggregate's events. */
  readStream(aggregate: AggregateRef, range?: StreamRange, options?: { readonly tx?: Tx }): Promise<Stream>;

  /** Position of the newest visible event; `0n` when the log is empty. Not a safe bound for reading: see {@link EventLog}. */
  latestPosition(): Promise<GlobalPosition>;
}
