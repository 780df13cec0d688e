import type { AggregateRef } from "./event.ts";
import type { ExpectedVersion } from "./event-store.ts";

/**
 * Base of every error that pup throws on purpose.
 *
 * Tell them apart by {@link PupError.code}, not by `instanceof`: two copies of this package may be installed.
 * Codes are part of the API, the wording of messages is not.
 */
export abstract class PupError extends Error {
  /** `PUP_` and what went wrong. */
  abstract readonly code: string;
}

/**
 * Tells whether something caught is an error of pup's, whichever copy of the package threw it.
 *
 * @example
 * ```ts
 * try {
 *   await store.append([orderPlaced], { expectedVersion: 4 });
 * } catch (error) {
 *   if (!isPupError(error) || error.code !== "PUP_CONCURRENCY_CONFLICT") throw error;
 *   console.log("somebody was faster");
 * }
 * ```
 */
export function isPupError(error: unknown): error is PupError {
  return (
    error instanceof Error &&
    typeof (error as { code?: unknown }).code === "string" &&
    (error as PupError).code.startsWith("PUP_")
  );
}

/** An option has a value that cannot work. */
export class InvalidOptionError extends PupError {
  override readonly name = "InvalidOptionError";
  readonly code = "PUP_INVALID_OPTION";
}

/** The aggregate has another version than the append expected: somebody else was faster. Load it again, decide again. */
export class ConcurrencyConflictError extends PupError {
  override readonly name = "ConcurrencyConflictError";
  readonly code = "PUP_CONCURRENCY_CONFLICT";
  readonly aggregateType: string;
  readonly aggregateId: string;
  readonly expected: ExpectedVersion;
  /** Version found; 0 when the aggregate has no events. */
  readonly actual: number;

  constructor(aggregate: AggregateRef, expected: ExpectedVersion, actual: number, options?: ErrorOptions) {
    super(`Expected ${describeAggregate(aggregate)} ${describeExpected(expected)}, found version ${actual}.`, options);
    this.aggregateType = aggregate.aggregateType;
    this.aggregateId = aggregate.aggregateId;
    this.expected = expected;
    this.actual = actual;
  }
}

/** An append without events. */
export class NoEventsError extends PupError {
  override readonly name = "NoEventsError";
  readonly code = "PUP_NO_EVENTS";

  constructor() {
    super("Expected at least one event to append, got an empty list.");
  }
}

/** An append whose events belong to more than one aggregate. */
export class MixedAggregatesError extends PupError {
  override readonly name = "MixedAggregatesError";
  readonly code = "PUP_MIXED_AGGREGATES";

  constructor(first: AggregateRef, other: AggregateRef, index: number) {
    super(
      `Expected all events of one append to belong to ${describeAggregate(first)}, but event ${index} belongs to ${describeAggregate(other)}. ` +
        "Append to several aggregates with one call each, in one transaction if they must commit together.",
    );
  }
}

/** An event id is in the log already, and this append is not a plain repetition of the one that wrote it. */
export class DuplicateEventIdError extends PupError {
  override readonly name = "DuplicateEventIdError";
  readonly code = "PUP_DUPLICATE_EVENT_ID";
  /** The ids that were taken. */
  readonly eventIds: readonly string[];

  constructor(eventIds: readonly string[], options?: ErrorOptions) {
    super(`Expected new event ids, but these are taken by another append: ${eventIds.join(", ")}.`, options);
    this.eventIds = eventIds;
  }
}

/** A payload or metadata holds something that JSON or PostgreSQL's jsonb cannot carry. */
export class PayloadNotSerializableError extends PupError {
  override readonly name = "PayloadNotSerializableError";
  readonly code = "PUP_PAYLOAD_NOT_SERIALIZABLE";
  /** Which event of the list, from 0; `-1` where only the database saw it. */
  readonly eventIndex: number;
  /** Where in the event, for instance `payload.lines[2].price`. */
  readonly path: string;

  constructor(eventIndex: number, path: string, reason: string, options?: ErrorOptions) {
    super(`Expected JSON in \`${path}\` of event ${eventIndex}, got ${reason}.`, options);
    this.eventIndex = eventIndex;
    this.path = path;
  }
}

/** The events of one append are larger than the database takes in one statement. */
export class PayloadTooLargeError extends PupError {
  override readonly name = "PayloadTooLargeError";
  readonly code = "PUP_PAYLOAD_TOO_LARGE";
}

/** A field of an event other than its payload cannot be stored. */
export class InvalidEventError extends PupError {
  override readonly name = "InvalidEventError";
  readonly code = "PUP_INVALID_EVENT";
}

/** The tables are not there, or not all of them. */
export class SchemaMissingError extends PupError {
  override readonly name = "SchemaMissingError";
  readonly code = "PUP_SCHEMA_MISSING";
}

/** The tables were made by a newer pup than this one. */
export class SchemaTooNewError extends PupError {
  override readonly name = "SchemaTooNewError";
  readonly code = "PUP_SCHEMA_TOO_NEW";
}

/** A batch or a checkpoint came from an owner that has been replaced: a newer epoch stands on the consumer's checkpoint. */
export class FencedError extends PupError {
  override readonly name = "FencedError";
  readonly code = "PUP_FENCED";
  readonly consumer: string;
  /** Epoch of the one that was refused. */
  readonly epoch: number;

  constructor(consumer: string, epoch: number, options?: ErrorOptions) {
    super(`Consumer "${consumer}" has been taken over: epoch ${epoch} is not its owner's any more.`, options);
    this.consumer = consumer;
    this.epoch = epoch;
  }
}

/** The handler ended the batch's transaction itself, so that its effects and its checkpoint could no longer commit together. */
export class TransactionHijackedError extends PupError {
  override readonly name = "TransactionHijackedError";
  readonly code = "PUP_TRANSACTION_HIJACKED";
}

/** A handler did not settle in time: its transaction was rolled back and can do nothing any more. */
export class BatchTimeoutError extends PupError {
  override readonly name = "BatchTimeoutError";
  readonly code = "PUP_BATCH_TIMEOUT";

  constructor(consumer: string, timeoutMs: number, options?: ErrorOptions) {
    super(`Expected the batch of consumer "${consumer}" to finish within \`batchTimeoutMs\` (${timeoutMs}).`, options);
  }
}

/** A handler rejected with something that is not an error, for instance `undefined`. */
export class HandlerRejectionError extends PupError {
  override readonly name = "HandlerRejectionError";
  readonly code = "PUP_HANDLER_REJECTED";

  constructor(consumer: string, reason: unknown) {
    super(
      `The handler of consumer "${consumer}" rejected with ${reason === null ? "null" : typeof reason} instead of an error.`,
      { cause: reason },
    );
  }
}

/** A worker was told to stop before it had started. */
export class StartAbortedError extends PupError {
  override readonly name = "StartAbortedError";
  readonly code = "PUP_START_ABORTED";
}

/** A method was called at a time at which it cannot be: `start()` after `stop()`, a closed store. */
export class InvalidStateError extends PupError {
  override readonly name = "InvalidStateError";
  readonly code = "PUP_INVALID_STATE";
}

/** Something that the database or the network is expected to do cannot work here, and waiting would not help. */
export class UnsupportedError extends PupError {
  override readonly name = "UnsupportedError";
  readonly code = "PUP_UNSUPPORTED";
}

function describeAggregate({ aggregateType, aggregateId }: AggregateRef): string {
  return `aggregate ${JSON.stringify(aggregateType)} ${JSON.stringify(aggregateId)}`;
}

function describeExpected(expected: ExpectedVersion): string {
  return typeof expected === "number" && expected > 0 ? `to have version ${expected}` : "to have no events";
}
