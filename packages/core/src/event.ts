/**
 * Place of an event in the log of all aggregates: 1, 2, 3, … with holes where appends rolled back.
 *
 * Always a `bigint`. `JSON.stringify` throws on those: log `String(position)`.
 */
export type GlobalPosition = bigint;

/** What names one aggregate: the stream of its events is read and extended as a whole. */
export interface AggregateRef {
  /** Kind of aggregate, for instance `"Order"`. */
  readonly aggregateType: string;
  /** Identity within its kind, for instance `"order-42"`. */
  readonly aggregateId: string;
}

/** An event as the application hands it to `append`. */
export interface NewEvent<Payload = unknown> extends AggregateRef {
  /** What happened, in the past tense: `"OrderPlaced"`. */
  readonly type: string;
  /** Version of the payload's shape, for upcasting later on. @defaultValue `1` */
  readonly version?: number;
  /**
   * The facts, as JSON. Properties that are `undefined` are left out, as `JSON.stringify` does; whatever else
   * JSON cannot carry (bigint, NaN, functions, cycles, NUL characters) is refused instead of being changed silently.
   */
  readonly payload: Payload;
  /**
   * Identity of the event, a UUID. Appending the same ids again changes nothing and returns the first result:
   * give it when an append may be repeated, for instance from an HTTP request's idempotency key.
   *
   * @defaultValue a new UUIDv7
   */
  readonly id?: string;
  /** Facts about the event rather than of it: user, tenant, source. @defaultValue none */
  readonly metadata?: Readonly<Record<string, unknown>> | null;
  /** Id of the distributed trace. @defaultValue none */
  readonly traceId?: string | null;
  /** Id shared by everything that one request set off. @defaultValue none */
  readonly correlationId?: string | null;
  /** Id of the event or command that caused this one. @defaultValue none */
  readonly causationId?: string | null;
}

/** An event as it stands in the log: committed, immutable, with its place in both orders. */
export interface RecordedEvent<Payload = unknown> extends AggregateRef {
  /** Place in the log of all aggregates. */
  readonly globalPosition: GlobalPosition;
  /** Place in its own stream: 1 for the first event of the aggregate, without holes. */
  readonly aggregateVersion: number;
  readonly id: string;
  readonly type: string;
  readonly version: number;
  readonly payload: Payload;
  readonly metadata: Readonly<Record<string, unknown>> | null;
  readonly traceId: string | null;
  readonly correlationId: string | null;
  readonly causationId: string | null;
  /** When the appending transaction began, by the database's clock. */
  readonly createdAt: Date;
}
