import type { AssignmentPlan } from "@pup/core";
import { executeWith, type RunSqlTransaction } from "../execute.ts";
import type { Tables } from "../schema/tables.ts";
import { leaseTexts } from "./leader-lease.ts";
import { PROTOCOL } from "./protocol.ts";

/** The leader that assigns. */
export interface Leader {
  readonly ownerId: string;
  readonly term: number;
}

/** Makes a plan true if the leader still leads. Resolves with the number of changes; null, having written nothing, when it does not. */
export type AssignConsumers = (
  transaction: RunSqlTransaction,
  leader: Leader,
  plan: AssignmentPlan,
) => Promise<number | null>;

/** How long a leader that has stopped answering keeps the rows locked: for other leaders and for workers that sign off. */
const SERVER_LIMIT = "10s";

/**
 * Makes the leader's writing.
 *
 * Rows are locked in the order of their names before any is written, as workers that sign off do: nobody waits in a circle.
 * Checkpoints are left alone: a batch may keep one for long, and the leader must not wait for it.
 */
export function createAssignConsumers(tables: Tables): AssignConsumers {
  const { consumerAssignments, workerNodes } = tables;
  const { lock } = leaseTexts(tables);

  // What a worker holds that is ahead of this leader stays where it is.
  const isOurs = `NOT EXISTS (
    SELECT FROM ${workerNodes} AS holder WHERE holder.worker_id = present.worker_id AND holder.protocol > $2::integer
  )`;
  const plan = `
WITH plan AS (
  SELECT consumer, worker.worker_id
  FROM jsonb_each_text($1::text::jsonb) AS given (consumer, worker)
  JOIN ${workerNodes} AS worker ON worker.worker_id = given.worker::uuid
)`;
  const strikeOff = `
DELETE FROM ${workerNodes} WHERE worker_id IN (
  SELECT worker_id FROM ${workerNodes}
  WHERE worker_id IN (SELECT jsonb_array_elements_text($1::text::jsonb)::uuid)
  ORDER BY worker_id FOR UPDATE
)`;
  const lockChanging = `${plan}
SELECT present.consumer_name AS consumer
FROM ${consumerAssignments} AS present LEFT JOIN plan ON plan.consumer = present.consumer_name
WHERE present.worker_id IS DISTINCT FROM plan.worker_id AND ${isOurs}
ORDER BY present.consumer_name
FOR UPDATE OF present`;
  const write = `${plan}, taken AS (
  DELETE FROM ${consumerAssignments} AS present
  WHERE NOT EXISTS (SELECT FROM plan WHERE plan.consumer = present.consumer_name) AND ${isOurs}
  RETURNING 1
), given AS (
  INSERT INTO ${consumerAssignments} AS assignment (consumer_name, worker_id, term, assigned_at)
  SELECT plan.consumer, plan.worker_id, $3::text::bigint, clock_timestamp()
  FROM plan LEFT JOIN ${consumerAssignments} AS present ON present.consumer_name = plan.consumer
  WHERE present.worker_id IS DISTINCT FROM plan.worker_id AND ${isOurs}
  ORDER BY plan.consumer
  ON CONFLICT (consumer_name) DO UPDATE
  SET worker_id = excluded.worker_id, term = excluded.term, assigned_at = excluded.assigned_at, updated_at = now()
  RETURNING 1
)
SELECT (SELECT count(*) FROM taken)::integer + (SELECT count(*) FROM given)::integer AS changes`;

  return (transaction, { ownerId, term }, { assignments, dead }) =>
    transaction(
      async ({ sql }) => {
        const execute = executeWith(sql);
        const [held] = await execute(lock, [ownerId, String(term)]);
        if (!held) return null;

        const given = JSON.stringify(Object.fromEntries(assignments));
        if (dead.length > 0) await execute(strikeOff, [JSON.stringify(dead)]);
        await execute(lockChanging, [given, PROTOCOL]);
        const [written] = await execute<{ changes: number }>(write, [given, PROTOCOL, String(term)]);
        return written?.changes ?? 0;
      },
      {
        onBegin: async ({ sql }) => {
          await sql`SELECT set_config('idle_in_transaction_session_timeout', ${SERVER_LIMIT}, true),
            set_config('statement_timeout', ${SERVER_LIMIT}, true)`;
          return undefined;
        },
      },
    );
}
