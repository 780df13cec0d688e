import type { Tables } from "../schema/tables.ts";
import type { PlaceRow } from "./append-statements.ts";
import { CREATED_AT } from "./recorded-event.ts";

/** One aggregate's part of a group, as {@link appendGroupText} reads it. */
export interface GroupPartJson {
  readonly type: string;
  readonly id: string;
  readonly bucket: number;
  /** How many events. */
  readonly count: number;
  /** Version of the head if there is none yet: the count, or 0 where the aggregate is expected to be there. */
  readonly initial: number;
}

/** An event of a group and where it ended up; in the order of the group, and none of the parts that were refused. */
export interface GroupPlaceRow extends PlaceRow {
  readonly id: string;
}

/**
 * How long a group waits for somebody else's lock, in milliseconds. Other processes' appends take one or two; whoever holds a
 * head for longer shall hold up nobody but those who want the same.
 */
export const LOCK_TIMEOUT_MS = 50;

/**
 * The statement that appends to many aggregates at once: heads first, then the events. An aggregate whose head is not as
 * expected is left out, and no position is drawn for it; the others are appended to.
 *
 * Parameters: $1, the parts with their `events` (each a {@link GroupPartJson}), at most one for each aggregate; $2, the steps
 * of those that expect a version, by type, id and that version: `{"Order": {"order-42": {"3": 2}}}` takes it from 3 to 5.
 *
 * - **No deadlock among groups**: every head is locked by the one INSERT, in the order of their names. ON CONFLICT goes by the
 *   unique index whatever the planner thinks of the tables, and looks at the version that the lock has waited for.
 * - **The lock's time-out** is set by the statement that it is for, and ends with it: rows to be locked come out of a join with
 *   what sets it. It travels without a round trip, and through poolers that hand the session to somebody else afterwards.
 * - **Order**: heads wait for the sort of their names, events for all heads and for the sort of their numbers. So who waits for
 *   a head has drawn no position, and within an aggregate positions grow with versions.
 */
export function appendGroupText({ aggregateHeads, events }: Tables): string {
  const step = "(SELECT $2::text::jsonb) -> head.aggregate_type -> head.aggregate_id";
  return `
WITH part AS MATERIALIZED (
  SELECT *
  FROM ROWS FROM (jsonb_to_recordset($1::text::jsonb) AS (
    type text, id text, bucket smallint, count integer, initial integer, events jsonb
  )) WITH ORDINALITY AS part (type, id, bucket, count, initial, events, n)
), patience AS MATERIALIZED (
  SELECT set_config('lock_timeout', '${LOCK_TIMEOUT_MS}ms', true) AS granted
), head AS (
  INSERT INTO ${aggregateHeads} AS head (aggregate_type, aggregate_id, aggregate_version)
  SELECT part.type, part.id, part.initial
  FROM part JOIN patience ON patience.granted IS NOT NULL
  ORDER BY part.type COLLATE "C", part.id COLLATE "C"
  ON CONFLICT (aggregate_type, aggregate_id) DO UPDATE
  SET
    aggregate_version = head.aggregate_version
      + coalesce((${step} ->> head.aggregate_version::text)::integer, excluded.aggregate_version),
    updated_at = now()
  WHERE (${step}) IS NULL OR (${step} ->> head.aggregate_version::text) IS NOT NULL
  RETURNING aggregate_type, aggregate_id, aggregate_version
)
INSERT INTO ${events} (
  aggregate_type, aggregate_id, aggregate_version, bucket, event_id, event_type, event_version, payload, metadata,
  trace_id, correlation_id, causation_id
)
SELECT
  part.type, part.id, head.aggregate_version - part.count + event.n, part.bucket, event.id, event.type, event.version,
  -- A payload of null is one: the record has made it NULL.
  coalesce(event.payload, 'null'), event.metadata, event.trace, event.correlation, event.causation
FROM head
JOIN part ON part.type = head.aggregate_type AND part.id = head.aggregate_id
CROSS JOIN ROWS FROM (jsonb_to_recordset(part.events) AS (
  id uuid, type text, version integer, payload jsonb, metadata jsonb, trace text, correlation text, causation text
)) WITH ORDINALITY AS event (id, type, version, payload, metadata, trace, correlation, causation, n)
-- A head that had to be there and was not has been made, without a version.
WHERE head.aggregate_version > 0
ORDER BY part.n, event.n
RETURNING
  event_id::text AS id, global_position::text AS position, aggregate_version AS version, ${CREATED_AT} AS createdat`;
}

/** What stands in a group's way, by the number of the part, from 0. */
export interface ObstacleRow {
  readonly n: number;
  /** Somebody else has locked the head. */
  readonly locked: boolean;
  /** An event with one of the ids is there. */
  readonly taken: boolean;
}

/**
 * Finds out which parts of a group cannot go on, without waiting for anybody. A head that another transaction has made and not
 * yet committed is not seen.
 *
 * $1: the parts, each with its `type`, its `id` and the `ids` that callers have given to its events.
 */
export function obstaclesText({ aggregateHeads, events }: Tables): string {
  return `
WITH part AS MATERIALIZED (
  SELECT *
  FROM ROWS FROM (jsonb_to_recordset($1::text::jsonb) AS (type text, id text, ids jsonb))
    WITH ORDINALITY AS part (type, id, ids, n)
), free AS MATERIALIZED (
  SELECT part.n
  FROM part
  JOIN ${aggregateHeads} AS head ON head.aggregate_type = part.type AND head.aggregate_id = part.id
  FOR NO KEY UPDATE OF head SKIP LOCKED
)
SELECT obstacle.*
FROM part
CROSS JOIN LATERAL (
  SELECT
    part.n::integer - 1 AS n,
    EXISTS (
      SELECT FROM ${aggregateHeads} AS head WHERE head.aggregate_type = part.type AND head.aggregate_id = part.id
    ) AND part.n NOT IN (SELECT free.n FROM free) AS locked,
    EXISTS (
      SELECT FROM jsonb_array_elements_text(part.ids) AS given (id) JOIN ${events} AS event ON event.event_id = given.id::uuid
    ) AS taken
) AS obstacle
WHERE obstacle.locked OR obstacle.taken`;
}
