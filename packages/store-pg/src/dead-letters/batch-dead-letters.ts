import type { BatchDeadLetters, DeadLetterFailure } from "@pup/core";
import type { Execute } from "../execute.ts";
import type { Tables } from "../schema/tables.ts";

/** Gives a batch the letters of its consumer; `execute` runs statements in the batch's transaction. */
export type OpenBatchDeadLetters = (execute: Execute, consumer: string) => BatchDeadLetters;

interface ParkedRow {
  readonly any: boolean;
  readonly parked: string;
}

export function createBatchDeadLetters({ consumerDeadLetters }: Tables): OpenBatchDeadLetters {
  const isParked = "letter.consumer_name = $1::text AND letter.parked";
  const parkedAmong = `
SELECT
  EXISTS (SELECT FROM ${consumerDeadLetters} AS letter WHERE ${isParked}) AS any,
  (
    SELECT coalesce(jsonb_agg(DISTINCT given.place), '[]')
    FROM (
      SELECT value AS place, value ->> 'aggregateType' AS type, value ->> 'aggregateId' AS id
      FROM jsonb_array_elements($2::text::jsonb)
    ) AS given
    WHERE EXISTS (
      SELECT FROM ${consumerDeadLetters} AS letter
      WHERE ${isParked} AND letter.aggregate_type = given.type AND letter.aggregate_id = given.id
    )
  )::text AS parked`;
  const put = `
INSERT INTO ${consumerDeadLetters} AS letter (
  consumer_name, global_position, event_id, event_type, aggregate_type, aggregate_id,
  parked, attempts, error_message, error_stack, first_failed_at, last_failed_at
)
SELECT $1::text, position, event_id, event_type, aggregate_type, aggregate_id, parked, attempts, message, stack,
  CASE WHEN attempts > 0 THEN now() - ago * interval '1 millisecond' END, CASE WHEN attempts > 0 THEN now() END
FROM jsonb_to_recordset($2::text::jsonb) AS given (
  position bigint, event_id uuid, event_type text, aggregate_type text, aggregate_id text,
  parked boolean, attempts integer, message text, stack text, ago double precision
)
ORDER BY position
ON CONFLICT (consumer_name, global_position) DO UPDATE
SET parked = excluded.parked, attempts = excluded.attempts, error_message = excluded.error_message,
  error_stack = excluded.error_stack, first_failed_at = excluded.first_failed_at, last_failed_at = excluded.last_failed_at,
  due_since = NULL, updated_at = now()
WHERE excluded.attempts > 0`;
  // One statement sees the letter that it deletes to the end: the next one lies above it.
  const resolve = `
WITH gone AS (
  DELETE FROM ${consumerDeadLetters} AS letter
  WHERE letter.consumer_name = $1::text AND letter.global_position = $2::text::bigint
  RETURNING letter.*
), next AS (
  UPDATE ${consumerDeadLetters} AS letter
  SET due_since = clock_timestamp(), updated_at = now()
  WHERE letter.consumer_name = $1::text AND letter.global_position = (
    SELECT min(behind.global_position)
    FROM ${consumerDeadLetters} AS behind
    JOIN gone ON gone.aggregate_type = behind.aggregate_type AND gone.aggregate_id = behind.aggregate_id
    WHERE behind.consumer_name = $1::text AND behind.parked AND gone.parked
      AND behind.global_position > gone.global_position
  )
)
SELECT true AS found FROM gone`;
  const fail = `
UPDATE ${consumerDeadLetters} AS letter
SET attempts = letter.attempts + 1, error_message = $3::text, error_stack = $4::text,
  first_failed_at = coalesce(letter.first_failed_at, now()), last_failed_at = now(), due_since = NULL, updated_at = now()
WHERE letter.consumer_name = $1::text AND letter.global_position = $2::text::bigint`;

  return (execute, consumer) => ({
    async parkedAmong(aggregates) {
      const places = aggregates.map(({ aggregateType, aggregateId }) => ({ aggregateType, aggregateId }));
      const [row] = await execute<ParkedRow>(parkedAmong, [consumer, JSON.stringify(places)]);
      return row?.any ? JSON.parse(row.parked) : null;
    },
    async put(letters) {
      if (letters.length === 0) return;
      const given = letters.map(({ event, parked, failure }) => ({
        position: String(event.globalPosition),
        event_id: event.id,
        event_type: event.type,
        aggregate_type: event.aggregateType,
        aggregate_id: event.aggregateId,
        parked,
        attempts: failure?.attempts ?? 0,
        ...(failure ? storable(failure) : { message: null, stack: null }),
        ago: failure?.firstFailedAgoMs ?? 0,
      }));
      await execute(put, [consumer, JSON.stringify(given)]);
    },
    async resolve(position) {
      const [gone] = await execute<{ found: boolean }>(resolve, [consumer, String(position)]);
      return gone !== undefined;
    },
    async fail(position, failure) {
      const { message, stack } = storable(failure);
      await execute(fail, [consumer, String(position), message, stack]);
    },
  });
}

/** What PostgreSQL can keep of a text: an error may quote whatever it stumbled over. */
function storable({ message, stack }: DeadLetterFailure): DeadLetterFailure {
  const clean = (text: string) => text.replaceAll("\0", "\u{FFFD}").toWellFormed();
  return { message: clean(message), stack: stack === null ? null : clean(stack) };
}
