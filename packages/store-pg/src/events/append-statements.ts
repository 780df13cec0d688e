import type { Tables } from "../schema/tables.ts";
import { CREATED_AT } from "./recorded-event.ts";

/** Where an event ended up. */
export interface PlaceRow {
  readonly position: string;
  readonly version: number;
  readonly createdat: number;
}

/**
 * What must be true of an aggregate's head for an append to go on:
 * `any` version, `no-stream`, an `exact` version, or a head that this transaction has `locked` and looked at (with a list of
 * events only).
 */
export type HeadRule = "any" | "no-stream" | "exact" | "locked";

/** One event, or any number in one JSON text: a function that reads a list costs a fifth of an append of one. */
export type EventsForm = "one" | "list";

/** Parameters of every statement here: $1 and $2 name the aggregate. */
const [TYPE, ID] = ["$1::text", "$2::text"];

/** How the events get into {@link appendText}. */
interface Form {
  readonly count: string;
  readonly bucket: string;
  /** Common table expression that reads the events; empty when there is none. */
  readonly given: string;
  /** Number of the event, from 1. */
  readonly number: string;
  /** Id, type and version of the event, payload, metadata, ids of trace, correlation and causation. */
  readonly values: string;
  readonly from: string;
  /** Number of the parameter with the exact version; otherwise of the next one. */
  readonly next: number;
}

const forms: Readonly<Record<EventsForm, Form>> = {
  one: {
    bucket: "$3::smallint",
    count: "1",
    given: "",
    number: "1",
    values: "$4::uuid, $5::text, $6::integer, $7::text::jsonb, $8::text::jsonb, $9::text, $10::text, $11::text",
    from: "head",
    next: 12,
  },
  list: {
    bucket: "$3::smallint",
    count: "$4::integer",
    given: `given AS (
  SELECT *
  FROM ROWS FROM (jsonb_to_recordset($5::text::jsonb) AS (
    id uuid, type text, version integer, payload jsonb, metadata jsonb, trace text, correlation text, causation text
  )) WITH ORDINALITY AS event (id, type, version, payload, metadata, trace, correlation, causation, n)
), `,
    number: "given.n",
    // A payload of null is one: the record has made it NULL.
    values: `given.id, given.type, given.version, coalesce(given.payload, 'null'), given.metadata,
  given.trace, given.correlation, given.causation`,
    from: "head, given",
    next: 6,
  },
};

/**
 * The statement that appends: takes the head first, then the events, all or none. No row comes back when the head's rule does
 * not hold, and then no position has been drawn.
 *
 * One statement, so that versions and positions of one aggregate grow in the same order: who waits for the head has not drawn
 * a position yet. Rows draw their positions in the order in which they come, and are numbered in that order too: one row of
 * the head and the rows of a function have no other way to be joined than a loop. Sorting them costs a tenth of a small append.
 *
 * @param notifies - whether the last parameter is a channel, to be notified in the same transaction
 */
export function appendText(tables: Tables, form: EventsForm, rule: HeadRule, notifies: boolean): string {
  const { count, bucket, given, number, values, from, next } = forms[form];
  const channel = rule === "exact" ? next + 1 : next;
  const notify = notifies ? `, pg_notify($${channel}, 'events') IS NULL AS told` : "";
  return `
WITH ${given}head AS (
  ${headText(tables, forms[form], rule)}
  RETURNING head.aggregate_version - ${count} AS version${notify}
)
INSERT INTO ${tables.events} (
  aggregate_type, aggregate_id, aggregate_version, bucket, event_id, event_type, event_version, payload, metadata,
  trace_id, correlation_id, causation_id
)
SELECT
  ${TYPE}, ${ID}, head.version + ${number}, ${bucket}, ${values}
FROM ${from}
RETURNING global_position::text AS position, aggregate_version AS version, ${CREATED_AT} AS createdat`;
}

function headText({ aggregateHeads, events }: Tables, { count, next }: Form, rule: HeadRule): string {
  const insert = `INSERT INTO ${aggregateHeads} AS head (aggregate_type, aggregate_id, aggregate_version)
  VALUES (${TYPE}, ${ID}, ${count})
  ON CONFLICT (aggregate_type, aggregate_id) DO UPDATE
  SET aggregate_version = head.aggregate_version + excluded.aggregate_version, updated_at = now()`;
  const update = `UPDATE ${aggregateHeads} AS head
  SET aggregate_version = head.aggregate_version + ${count}, updated_at = now()
  WHERE aggregate_type = ${TYPE} AND aggregate_id = ${ID}`;
  switch (rule) {
    case "any":
      return insert;
    case "no-stream":
      // A head without events is what a transaction leaves that locked it and then appended nothing.
      return `${insert}
  WHERE head.aggregate_version = 0`;
    case "exact":
      return `${update} AND aggregate_version = $${next}::integer`;
    case "locked":
      return `${update} AND NOT EXISTS (SELECT FROM given JOIN ${events} AS taken ON taken.event_id = given.id)`;
  }
}

/** Locks a head, and makes it if need be. */
export function lockHeadText({ aggregateHeads }: Tables): string {
  return `
INSERT INTO ${aggregateHeads} AS head (aggregate_type, aggregate_id, aggregate_version)
VALUES (${TYPE}, ${ID}, 0)
ON CONFLICT (aggregate_type, aggregate_id) DO UPDATE SET aggregate_version = head.aggregate_version
RETURNING aggregate_version AS version`;
}

/** Locks a head that has to be there. */
export function lockExistingHeadText({ aggregateHeads }: Tables): string {
  return `
SELECT aggregate_version AS version
FROM ${aggregateHeads}
WHERE aggregate_type = ${TYPE} AND aggregate_id = ${ID}
FOR NO KEY UPDATE`;
}

/** What an id given to an append turned out to be. */
export interface GivenIdRow {
  readonly id: string;
  /** Null when no event has the id. */
  readonly position: string | null;
  readonly version: number | null;
  readonly createdat: number | null;
  /** True when the event with that id belongs to the aggregate of the append. */
  readonly own: boolean | null;
  /** Version of the aggregate; null when it has no head. */
  readonly actual: number | null;
}

/** Finds out why an append did not go through. A statement of its own, because the one before could not see what it had waited for. */
export function givenIdsText({ events, aggregateHeads }: Tables): string {
  return `
SELECT
  given.id, global_position::text AS position, event.aggregate_version AS version, ${CREATED_AT} AS createdat,
  event.aggregate_type = ${TYPE} AND event.aggregate_id = ${ID} AS own,
  (
    SELECT aggregate_version FROM ${aggregateHeads} AS head
    WHERE head.aggregate_type = ${TYPE} AND head.aggregate_id = ${ID}
  ) AS actual
FROM jsonb_array_elements_text($3::text::jsonb) WITH ORDINALITY AS given (id, n)
LEFT JOIN ${events} AS event ON event.event_id = given.id::uuid
ORDER BY given.n`;
}
