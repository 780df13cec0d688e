import type { GlobalPosition, RecordedEvent } from "@pup/core";

/** An event as {@link eventColumns} selects it. */
export interface EventRow {
  readonly position: string;
  readonly aggregatetype: string;
  readonly aggregateid: string;
  readonly aggregateversion: number;
  readonly id: string;
  readonly type: string;
  readonly version: number;
  readonly payload: string;
  readonly metadata: string | null;
  readonly traceid: string | null;
  readonly correlationid: string | null;
  readonly causationid: string | null;
  readonly createdat: number;
}

/** Seconds since 1970, whatever time zone, date style or driver the session has. To be read with {@link toDate}. */
export const CREATED_AT = "date_part('epoch', created_at)";

/** Columns of an event, in text where drivers differ: payloads and positions are parsed here and nowhere else. */
export const eventColumns: Readonly<Record<keyof EventRow, string>> = {
  position: "global_position::text",
  aggregatetype: "aggregate_type",
  aggregateid: "aggregate_id",
  aggregateversion: "aggregate_version",
  id: "event_id::text",
  type: "event_type",
  version: "event_version",
  payload: "payload::text",
  metadata: "metadata::text",
  traceid: "trace_id",
  correlationid: "correlation_id",
  causationid: "causation_id",
  createdat: CREATED_AT,
};

/** @param position - the row's, where it has been read already */
export function toRecordedEvent(row: EventRow, position: GlobalPosition = BigInt(row.position)): RecordedEvent {
  return {
    globalPosition: position,
    aggregateType: row.aggregatetype,
    aggregateId: row.aggregateid,
    aggregateVersion: Number(row.aggregateversion),
    id: row.id,
    type: row.type,
    version: Number(row.version),
    payload: JSON.parse(row.payload),
    metadata: row.metadata === null ? null : JSON.parse(row.metadata),
    traceId: row.traceid,
    correlationId: row.correlationid,
    causationId: row.causationid,
    createdAt: toDate(row.createdat),
  };
}

/** The millisecond in which a time lies that came with microseconds. */
export function toDate(epochSeconds: number): Date {
  // A double holds microseconds since 1970 to about a quarter of one: without the half, .123 could become .122.
  return new Date(Math.floor(Number(epochSeconds) * 1_000 + 0.000_5));
}
