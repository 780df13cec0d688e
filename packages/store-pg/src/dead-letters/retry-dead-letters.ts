import type { DeadLetterSelection } from "@pup/core";
import type { Execute } from "../execute.ts";
import type { Tables } from "../schema/tables.ts";
import { IS_SELECTED, selectionValues } from "./select-dead-letters.ts";

/** Makes letters due; of a parked aggregate the first. Resolves with how many. */
export type RetryDeadLetters = (execute: Execute, selection: DeadLetterSelection) => Promise<number>;

/** Locks in the order of positions, as batches do. */
export function createRetryDeadLetters({ consumerDeadLetters }: Tables): RetryDeadLetters {
  const text = `
WITH selected AS (
  SELECT letter.global_position, letter.parked, letter.aggregate_type, letter.aggregate_id
  FROM ${consumerDeadLetters} AS letter WHERE ${IS_SELECTED}
), first AS (
  SELECT global_position FROM selected WHERE NOT parked
  UNION
  SELECT min(letter.global_position)
  FROM ${consumerDeadLetters} AS letter
  JOIN (SELECT DISTINCT aggregate_type, aggregate_id FROM selected WHERE parked) AS parked USING (aggregate_type, aggregate_id)
  WHERE letter.consumer_name = $1::text AND letter.parked
  GROUP BY letter.aggregate_type, letter.aggregate_id
), locked AS MATERIALIZED (
  SELECT letter.global_position
  FROM ${consumerDeadLetters} AS letter JOIN first USING (global_position)
  WHERE letter.consumer_name = $1::text
  ORDER BY letter.global_position
  FOR NO KEY UPDATE OF letter
), marked AS (
  UPDATE ${consumerDeadLetters} AS letter
  SET due_since = coalesce(letter.due_since, clock_timestamp()), updated_at = now()
  FROM locked
  WHERE letter.consumer_name = $1::text AND letter.global_position = locked.global_position
  RETURNING 1
)
SELECT count(*)::integer AS marked FROM marked`;

  return async (execute, selection) => {
    const [row] = await execute<{ marked: number }>(text, selectionValues(selection));
    return row?.marked ?? 0;
  };
}
