import type { Claim } from "@pup/core";
import type { Execute } from "../execute.ts";
import type { Tables } from "../schema/tables.ts";
import type { ClaimFacts } from "./judge-claim.ts";

/** Reads what claims are judged by, in one statement; consumers without a checkpoint are missing from the answer. */
export type ReadClaimFacts = (
  execute: Execute,
  claim: Pick<Claim, "heartbeatTimeoutMs">,
  consumers: readonly string[],
) => Promise<ReadonlyMap<string, ClaimFacts>>;

interface FactsRow {
  readonly consumer: string;
  readonly owner: string | null;
  readonly owneralive: boolean;
  readonly assignee: string | null;
  readonly assigneealive: boolean;
  readonly assignedfor: number | null;
}

export function createReadClaimFacts(tables: Tables): ReadClaimFacts {
  const { consumerCheckpoints, consumerAssignments, workerNodes } = tables;
  const isAlive = (worker: string) => `EXISTS (
    SELECT FROM ${workerNodes} AS worker
    WHERE worker.worker_id = ${worker}
      AND worker.heartbeat_at >= clock_timestamp() - $2::double precision * interval '1 millisecond'
  )`;
  const text = `
SELECT
  checkpoint.consumer_name AS consumer,
  checkpoint.owner_id::text AS owner,
  ${isAlive("checkpoint.owner_id")} AS owneralive,
  assignment.worker_id::text AS assignee,
  ${isAlive("assignment.worker_id")} AS assigneealive,
  date_part('epoch', clock_timestamp() - assignment.assigned_at) * 1000 AS assignedfor
FROM ${consumerCheckpoints} AS checkpoint
LEFT JOIN ${consumerAssignments} AS assignment ON assignment.consumer_name = checkpoint.consumer_name
WHERE checkpoint.consumer_name IN (SELECT jsonb_array_elements_text($1::text::jsonb))`;

  return async (execute, { heartbeatTimeoutMs }, consumers) => {
    const rows = await execute<FactsRow>(text, [JSON.stringify(consumers), heartbeatTimeoutMs]);
    return new Map(
      rows.map((row) => [
        row.consumer,
        {
          ownerId: row.owner,
          ownerAlive: row.owneralive,
          assigneeId: row.assignee,
          assigneeAlive: row.assigneealive,
          assignedForMs: row.assignedfor,
        },
      ]),
    );
  };
}
