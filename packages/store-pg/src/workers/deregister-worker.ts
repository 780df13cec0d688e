import type { Execute } from "../execute.ts";
import type { Tables } from "../schema/tables.ts";

/** Strikes a worker off, with its assignments. */
export type DeregisterWorker = (execute: Execute, workerId: string) => Promise<void>;

/** Locks assignments in the order of their names, as the leader does. */
export function createDeregisterWorker({ workerNodes, consumerAssignments }: Tables): DeregisterWorker {
  const text = `
WITH own AS MATERIALIZED (
  SELECT consumer_name FROM ${consumerAssignments}
  WHERE worker_id = $1::text::uuid ORDER BY consumer_name FOR UPDATE
), given_back AS (
  DELETE FROM ${consumerAssignments} AS assignment
  USING own WHERE assignment.consumer_name = own.consumer_name AND assignment.worker_id = $1::text::uuid
)
DELETE FROM ${workerNodes} WHERE worker_id = $1::text::uuid`;

  return async (execute, workerId) => {
    await execute(text, [workerId]);
  };
}
