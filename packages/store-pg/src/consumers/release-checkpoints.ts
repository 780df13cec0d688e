import type { Execute } from "../execute.ts";
import type { Tables } from "../schema/tables.ts";

/** Hands consumers back. Those whose epoch is not the present one are left alone. */
export type ReleaseCheckpoints = (
  execute: Execute,
  owned: readonly { readonly consumer: string; readonly epoch: number }[],
) => Promise<void>;

/** Locks rows in the order of their names, as all do who touch more than one. */
export function createReleaseCheckpoints({ consumerCheckpoints }: Tables): ReleaseCheckpoints {
  const text = `
WITH owned AS MATERIALIZED (
  SELECT checkpoint.consumer_name, checkpoint.epoch
  FROM ${consumerCheckpoints} AS checkpoint
  JOIN jsonb_to_recordset($1::text::jsonb) AS given (consumer text, epoch bigint)
    ON given.consumer = checkpoint.consumer_name AND given.epoch = checkpoint.epoch
  ORDER BY checkpoint.consumer_name
  FOR NO KEY UPDATE OF checkpoint
)
UPDATE ${consumerCheckpoints} AS checkpoint
SET owner_id = NULL, updated_at = now()
FROM owned
WHERE checkpoint.consumer_name = owned.consumer_name AND checkpoint.epoch = owned.epoch`;

  return async (execute, owned) => {
    if (owned.length === 0) return;
    await execute(text, [JSON.stringify(owned.map(({ consumer, epoch }) => ({ consumer, epoch })))]);
  };
}
