import type { AcquireRequest, AcquireResult } from "@pup/core";
import { type Execute, executeWith, type RunSqlTransaction } from "../execute.ts";
import { mayEnd } from "../may-end.ts";
import type { Tables } from "../schema/tables.ts";
import { LOCK_NOT_AVAILABLE, sqlStateOf } from "../sql-state.ts";
import { type ClaimFacts, judgeClaim, mayEndBlocker } from "./judge-claim.ts";

/** Takes a consumer over, if it may be. */
export type AcquireCheckpoint = (request: AcquireRequest) => Promise<AcquireResult>;

export interface AcquireCheckpointOptions {
  readonly tables: Tables;
  /** Runs single statements. */
  readonly execute: Execute;
  readonly transaction: RunSqlTransaction;
  /** How names of pup's sessions begin: none but those are ended. */
  readonly applicationPrefix: string;
}

/** How long a take-over waits for the checkpoint's row. Whoever waits longer keeps a connection that its batches may need. */
const LOCK_TIMEOUT = "200ms";

interface FactsRow {
  readonly position: string;
  readonly owner: string | null;
  readonly owneralive: boolean;
  readonly assignee: string | null;
  readonly assigneealive: boolean;
  readonly assignedfor: number | null;
}

/** Makes the take-over of a store. */
export function createAcquireCheckpoint(options: AcquireCheckpointOptions): AcquireCheckpoint {
  const { execute, transaction, applicationPrefix } = options;
  const { factsText, lockText, takeText, endBlockerText } = createTexts(options.tables);

  async function readFacts(run: Execute, { consumer, heartbeatTimeoutMs }: AcquireRequest): Promise<ClaimFacts | null> {
    const [row] = await run<FactsRow>(factsText, [consumer, heartbeatTimeoutMs]);
    if (!row) return null;
    return {
      position: BigInt(row.position),
      ownerId: row.owner,
      ownerAlive: row.owneralive,
      assigneeId: row.assignee,
      assigneeAlive: row.assigneealive,
      assignedForMs: row.assignedfor,
    };
  }

  /** Takes the consumer over in a transaction. Looks again when it has the row: much can change while it waits. */
  function take(request: AcquireRequest): Promise<AcquireResult> {
    return transaction(
      async ({ sql }) => {
        const run = executeWith(sql);
        await run(lockText, [request.consumer]);
        const facts = await readFacts(run, request);
        const refusal = refuse(request, facts);
        if (refusal) return refusal;
        const [taken] = await run<{ epoch: string; position: string }>(takeText, [request.consumer, request.workerId]);
        if (!taken) return { outcome: "missing" };
        return { outcome: "acquired", epoch: Number(taken.epoch), position: BigInt(taken.position) };
      },
      {
        onBegin: async ({ sql }) => {
          await sql`SELECT set_config('lock_timeout', ${LOCK_TIMEOUT}, true)`;
          return undefined;
        },
      },
    );
  }

  async function takeUnlessLocked(request: AcquireRequest): Promise<AcquireResult | null> {
    try {
      return await take(request);
    } catch (error) {
      if (sqlStateOf(error) === LOCK_NOT_AVAILABLE) return null;
      throw error;
    }
  }

  return async (request) => {
    const facts = await readFacts(execute, request);
    const refusal = refuse(request, facts);
    if (refusal) return refusal;

    const held = { outcome: "held", ownerId: facts?.ownerId ?? null } as const;
    const result = await takeUnlessLocked(request);
    if (result) return result;
    if (!facts || !mayEndBlocker(request, facts)) return held;
    await execute(endBlockerText, [request.consumer, applicationPrefix]);
    return (await takeUnlessLocked(request)) ?? held;
  };
}

function refuse(request: AcquireRequest, facts: ClaimFacts | null): AcquireResult | null {
  if (!facts) return { outcome: "missing" };
  switch (judgeClaim(request, facts)) {
    case "take":
      return null;
    case "held":
      return { outcome: "held", ownerId: facts.ownerId };
    case "not-yours":
      return { outcome: "not-yours" };
  }
}

function createTexts({ consumerCheckpoints, consumerAssignments, workerNodes }: Tables) {
  const isAlive = (worker: string) => `EXISTS (
    SELECT FROM ${workerNodes} AS worker
    WHERE worker.worker_id = ${worker}
      AND worker.heartbeat_at >= clock_timestamp() - $2::double precision * interval '1 millisecond'
  )`;
  return {
    factsText: `
SELECT
  checkpoint.last_position::text AS position,
  checkpoint.owner_id::text AS owner,
  ${isAlive("checkpoint.owner_id")} AS owneralive,
  assignment.worker_id::text AS assignee,
  ${isAlive("assignment.worker_id")} AS assigneealive,
  date_part('epoch', clock_timestamp() - assignment.assigned_at) * 1000 AS assignedfor
FROM ${consumerCheckpoints} AS checkpoint
LEFT JOIN ${consumerAssignments} AS assignment ON assignment.consumer_name = checkpoint.consumer_name
WHERE checkpoint.consumer_name = $1::text`,

    lockText: `SELECT true AS locked FROM ${consumerCheckpoints} WHERE consumer_name = $1::text FOR NO KEY UPDATE`,

    takeText: `
UPDATE ${consumerCheckpoints}
SET epoch = epoch + 1, owner_id = $2::text::uuid, updated_at = now()
WHERE consumer_name = $1::text
RETURNING epoch::text AS epoch, last_position::text AS position`,

    // Who has locked a row has left its transaction's id on it.
    endBlockerText: `
SELECT pg_terminate_backend(session.pid)
FROM ${consumerCheckpoints} AS checkpoint
JOIN pg_locks AS lock
  ON lock.locktype = 'transactionid' AND lock.transactionid = checkpoint.xmax
  AND lock.mode = 'ExclusiveLock' AND lock.granted
JOIN pg_stat_activity AS session ON session.pid = lock.pid
WHERE checkpoint.consumer_name = $1::text
  AND ${mayEnd("session")}
  AND starts_with(session.application_name || ' ', $2::text || ' ')`,
  };
}
