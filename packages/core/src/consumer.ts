import { InvalidOptionError } from "./errors.ts";
import type { GlobalPosition, RecordedEvent } from "./event.ts";
import type { EventScope } from "./event-log.ts";
import type { Logger } from "./logger.ts";
import { checkName } from "./validate.ts";

/** What every handler gets beside the events. */
export interface HandlerContext {
  /** Name of the consumer. */
  readonly consumer: string;
  /** Aborted when the batch must end: its time is over, or the worker gave up waiting. Hand it to whatever takes long. */
  readonly signal: AbortSignal;
  /** The worker's logger. */
  readonly logger: Logger;
  /** How often the first of these events has been tried, from 1. */
  readonly attempt: number;
  /**
   * Fencing token: grows with every take-over of this consumer. Hand it to systems outside the database, and let them
   * refuse a lower one than they have seen.
   */
  readonly epoch: number;
}

/** What the handler of a transactional consumer gets beside the events. */
export interface TransactionalContext<Tx> extends HandlerContext {
  /**
   * The batch's transaction. What is written through it commits together with the checkpoint, hence exactly once;
   * effects made elsewhere have to bear a repeat. Revoked when the handler settles.
   */
  readonly tx: Tx;
}

/** Where a consumer begins that has no checkpoint yet. */
export type StartFrom =
  /** With the first event of the log. */
  | "beginning"
  /** With the first event after what is settled when the consumer is first run. */
  | "head"
  /** With the first event above this position; it must not lie beyond the head. */
  | GlobalPosition
  /** With the first event recorded at this time or later. */
  | Date;

/**
 * What becomes of an event that a consumer cannot handle.
 *
 * - `"stop"`: the consumer stops before it, until the worker is started again. Nothing is left out; nothing goes on either.
 * - `"skip"`: the event becomes a dead letter, and the consumer goes on without it.
 * - `"park"`: the event becomes a dead letter, and so do all later ones of its aggregate, until somebody has it handled again or
 *   discards it. Other aggregates go on: for consumers that need the order within an aggregate only.
 */
export type FailurePolicy = "stop" | "skip" | "park";

/** How a worker runs one consumer. Each can be set for a worker, and again for one of its consumers. */
export interface ConsumerSettings {
  /** Events in a batch, at most; to begin with, where {@link ConsumerSettings.maxBatchSize} lets them become more. @defaultValue `100` */
  readonly batchSize?: number | undefined;
  /**
   * Events to which batches may grow while the handler takes less than 50 ms for them. They shrink again, to `batchSize` at the
   * least, when it takes more than 100 ms, and at once when a batch fails.
   *
   * @defaultValue `1_000`, or `batchSize` where that is given: then batches do not grow
   */
  readonly maxBatchSize?: number | undefined;
  /** Bytes of stored payloads after which a batch ends; its first event always fits. @defaultValue `8_388_608` (8 MiB) */
  readonly maxBatchBytes?: number | undefined;
  /** Pause after each batch, in milliseconds: caps what a consumer takes from the database. @defaultValue `0` */
  readonly batchPauseMs?: number | undefined;
  /** Time for one batch, in milliseconds; afterwards it is rolled back and counts as failed. @defaultValue `30_000` */
  readonly batchTimeoutMs?: number | undefined;
  /**
   * Failures of the same event after which {@link ConsumerSettings.onFailure} decides. Transient errors of the database do not count. Events before the one that
   * fails are kept: a batch that failed is tried again in parts, until the event is alone.
   *
   * @defaultValue `5`
   */
  readonly maxConsecutiveFailures?: number | undefined;
  /** Wait after the first failure, in milliseconds; doubles with each. Wake-ups do not cut it short. @defaultValue `100` */
  readonly retryBackoffMs?: number | undefined;
  /** Longest wait between two attempts, in milliseconds; 5,000 at most after transient errors. @defaultValue `30_000` */
  readonly maxRetryBackoffMs?: number | undefined;
  /** What becomes of an event that failed `maxConsecutiveFailures` times. @defaultValue `"stop"` */
  readonly onFailure?: FailurePolicy | undefined;
}

interface ConsumerBase extends EventScope, ConsumerSettings {
  /**
   * Identity of the consumer and of its checkpoint: 1 to 255 bytes. A renamed consumer starts again,
   * so put a version into the name and raise it to rebuild (`"orders.v2"`).
   */
  readonly name: string;
  /** Where to begin when there is no checkpoint yet. @defaultValue `"beginning"` */
  readonly startFrom?: StartFrom | undefined;
}

interface HandlesOne<Context> {
  /** Handles one event. Events come in position order, the next one when this one's promise has resolved. */
  handle(event: RecordedEvent, context: Context): unknown;
  readonly handleBatch?: undefined;
}

interface HandlesMany<Context> {
  /** Handles all events of a batch at once, in position order; never an empty list. For bulk writes. */
  handleBatch(events: readonly RecordedEvent[], context: Context): unknown;
  readonly handle?: undefined;
}

/** A consumer whose effects commit together with its checkpoint. */
export type TransactionalConsumer<Tx = unknown> = ConsumerBase & { readonly transaction?: "batch" | undefined } & (
    | HandlesOne<TransactionalContext<Tx>>
    | HandlesMany<TransactionalContext<Tx>>
  );

/** A consumer without a transaction, for effects outside the database: at least once instead of exactly once. */
export type DetachedConsumer = ConsumerBase & { readonly transaction: "none" } & (
    | HandlesOne<HandlerContext>
    | HandlesMany<HandlerContext>
  );

/** A named piece of work that receives the log's events in order: a projection, an integration, an audit. */
export type Consumer<Tx = unknown> = TransactionalConsumer<Tx> | DetachedConsumer;

/**
 * Checks a consumer's declaration, and gives its handler's parameters their types.
 *
 * @example
 * ```ts
 * const orders = defineConsumer<PgTransaction>({
 *   name: "orders.v1",
 *   aggregateTypes: ["Order"],
 *   async handle(event, { tx }) {
 *     await tx.sql`insert into orders (id) values (${event.aggregateId}) on conflict do nothing`;
 *   },
 * });
 * ```
 *
 * @throws {@link InvalidOptionError} when the name is empty or too long, a scope list is empty,
 * or there is not exactly one of `handle` and `handleBatch`
 */
export function defineConsumer(consumer: DetachedConsumer): DetachedConsumer;
export function defineConsumer<Tx = unknown>(consumer: TransactionalConsumer<Tx>): TransactionalConsumer<Tx>;
export function defineConsumer<Tx = unknown>(consumer: Consumer<Tx>): Consumer<Tx>;
export function defineConsumer<Tx = unknown>(consumer: Consumer<Tx>): Consumer<Tx> {
  checkName("consumer.name", consumer.name, 255);
  if ((typeof consumer.handle === "function") === (typeof consumer.handleBatch === "function")) {
    throw new InvalidOptionError(`Expected consumer "${consumer.name}" to have either \`handle\` or \`handleBatch\`.`);
  }
  for (const list of ["aggregateTypes", "eventTypes"] as const) {
    if (consumer[list]?.length === 0) {
      throw new InvalidOptionError(
        `Expected \`${list}\` of consumer "${consumer.name}" to name at least one; leave it out to receive all.`,
      );
    }
  }
  return consumer;
}
