import type { WorkerView } from "@pup/core";
import type { Execute } from "../execute.ts";
import type { Tables } from "../schema/tables.ts";
import { parseStatuses, statusesText } from "./observe-workers.ts";

/** Learns what a worker is to run, and with `beat` reports it alive; null when it is not registered. */
export type SyncWorker = (
  execute: Execute,
  request: { readonly workerId: string; readonly beat: boolean; readonly heartbeatTimeoutMs: number },
) => Promise<WorkerView | null>;

interface ViewRow {
  readonly registered: boolean;
  readonly assigned: string;
  readonly live: number;
  readonly due: string;
  readonly statuses: string | null;
}

export function createSyncWorker(tables: Tables): SyncWorker {
  const { workerNodes, consumerAssignments, consumerDeadLetters } = tables;
  const text = `
WITH beat AS (
  UPDATE ${workerNodes} SET heartbeat_at = now(), updated_at = now() WHERE worker_id = $1::text::uuid AND $2::boolean
)
SELECT
  EXISTS (SELECT FROM ${workerNodes} WHERE worker_id = $1::text::uuid) AS registered,
  (
    SELECT coalesce(jsonb_agg(consumer_name), '[]')
    FROM ${consumerAssignments} WHERE worker_id = $1::text::uuid
  )::text AS assigned,
  (
    SELECT count(*) FROM ${workerNodes}
    WHERE worker_id = $1::text::uuid OR heartbeat_at >= now() - $3::double precision * interval '1 millisecond'
  )::integer AS live,
  (
    SELECT coalesce(jsonb_agg(DISTINCT consumer_name), '[]')
    FROM ${consumerDeadLetters} JOIN ${consumerAssignments} USING (consumer_name)
    WHERE worker_id = $1::text::uuid AND due_since IS NOT NULL
  )::text AS due,
  CASE WHEN $2::boolean THEN ${statusesText(tables)} END AS statuses`;

  return async (execute, { workerId, beat, heartbeatTimeoutMs }) => {
    const [row] = await execute<ViewRow>(text, [workerId, beat, heartbeatTimeoutMs]);
    if (!row?.registered) return null;
    return {
      assigned: JSON.parse(row.assigned),
      liveWorkers: row.live,
      deadLettersDue: JSON.parse(row.due),
      workers: row.statuses === null ? undefined : parseStatuses(row.statuses),
    };
  };
}
