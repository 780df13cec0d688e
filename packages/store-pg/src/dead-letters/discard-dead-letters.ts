import type { DeadLetterSelection } from "@pup/core";
import { executeWith, type RunSqlTransaction } from "../execute.ts";
import type { Tables } from "../schema/tables.ts";
import { IS_SELECTED, selectionValues } from "./select-dead-letters.ts";

/** Deletes letters, and makes due what waited behind the first one of a parked aggregate. */
export type DiscardDeadLetters = (
  transaction: RunSqlTransaction,
  selection: DeadLetterSelection,
) => Promise<{ readonly discarded: number; readonly due: number }>;

export function createDiscardDeadLetters({ consumerDeadLetters, consumerCheckpoints }: Tables): DiscardDeadLetters {
  // A batch may be adding letters to the very aggregate. It holds this row, and the statements after it see what it has done.
  const lock = `SELECT true AS locked FROM ${consumerCheckpoints} WHERE consumer_name = $1::text FOR NO KEY UPDATE`;
  const discard = `
WITH gone AS (
  DELETE FROM ${consumerDeadLetters} AS letter WHERE ${IS_SELECTED}
  RETURNING letter.parked, letter.aggregate_type, letter.aggregate_id
)
SELECT
  (SELECT count(*) FROM gone)::integer AS discarded,
  (
    SELECT coalesce(jsonb_agg(DISTINCT jsonb_build_object('type', aggregate_type, 'id', aggregate_id)), '[]')
    FROM gone WHERE parked
  )::text AS aggregates`;
  const release = `
WITH first AS (
  SELECT min(letter.global_position) AS global_position
  FROM ${consumerDeadLetters} AS letter
  JOIN jsonb_to_recordset($2::text::jsonb) AS given (type text, id text)
    ON given.type = letter.aggregate_type AND given.id = letter.aggregate_id
  WHERE letter.consumer_name = $1::text AND letter.parked
  GROUP BY letter.aggregate_type, letter.aggregate_id
), marked AS (
  UPDATE ${consumerDeadLetters} AS letter
  SET due_since = clock_timestamp(), updated_at = now()
  FROM first
  WHERE letter.consumer_name = $1::text AND letter.global_position = first.global_position
    AND letter.attempts = 0 AND letter.due_since IS NULL
  RETURNING 1
)
SELECT count(*)::integer AS due FROM marked`;

  return (transaction, selection) =>
    transaction(async ({ sql }) => {
      const execute = executeWith(sql);
      await execute(lock, [selection.consumer]);
      const [gone] = await execute<{ discarded: number; aggregates: string }>(discard, selectionValues(selection));
      const { discarded = 0, aggregates = "[]" } = gone ?? {};
      if (aggregates === "[]") return { discarded, due: 0 };
      const [released] = await execute<{ due: number }>(release, [selection.consumer, aggregates]);
      return { discarded, due: released?.due ?? 0 };
    });
}
