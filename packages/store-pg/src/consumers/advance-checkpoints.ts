import type { CheckpointAdvance } from "@pup/core";
import type { Execute } from "../execute.ts";
import type { Tables } from "../schema/tables.ts";

/** Moves checkpoints forward, each only under its present epoch. Resolves with the names of those that came with another one. */
export type AdvanceCheckpoints = (
  execute: Execute,
  advances: readonly CheckpointAdvance[],
) => Promise<readonly string[]>;

/**
 * One statement for all of them. Rows are locked in the order of their names before any is written, so that two of these
 * statements never wait for each other in a circle; what the locks bring to light is what the epochs are compared with. Rows
 * of another epoch are not asked for: their owner may hold them for as long as a batch takes.
 */
export function createAdvanceCheckpoints({ consumerCheckpoints }: Tables): AdvanceCheckpoints {
  const text = `
WITH given AS (
  SELECT * FROM jsonb_to_recordset($1::text::jsonb) AS given (consumer text, epoch bigint, position bigint)
), present AS MATERIALIZED (
  SELECT checkpoint.consumer_name, checkpoint.epoch
  FROM ${consumerCheckpoints} AS checkpoint
  JOIN given ON given.consumer = checkpoint.consumer_name AND given.epoch = checkpoint.epoch
  ORDER BY checkpoint.consumer_name
  FOR NO KEY UPDATE OF checkpoint
), moved AS (
  UPDATE ${consumerCheckpoints} AS checkpoint
  SET last_position = given.position, updated_at = now()
  FROM given JOIN present ON present.consumer_name = given.consumer AND present.epoch = given.epoch
  WHERE checkpoint.consumer_name = given.consumer AND checkpoint.epoch = given.epoch
    AND checkpoint.last_position < given.position
)
SELECT given.consumer
FROM given LEFT JOIN present ON present.consumer_name = given.consumer AND present.epoch = given.epoch
WHERE present.consumer_name IS NULL`;

  return async (execute, advances) => {
    if (advances.length === 0) return [];
    const given = advances.map(({ consumer, epoch, position }) => ({ consumer, epoch, position: String(position) }));
    const refused = await execute<{ consumer: string }>(text, [JSON.stringify(given)]);
    return refused.map(({ consumer }) => consumer);
  };
}
