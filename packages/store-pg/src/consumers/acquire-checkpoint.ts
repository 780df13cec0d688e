import type { AcquireRequest, AcquireResult } from "@pup/core";
import { type Execute, executeWith, type RunSqlTransaction } from "../execute.ts";
import { mayEnd } from "../may-end.ts";
import type { Tables } from "../schema/tables.ts";
import { LOCK_NOT_AVAILABLE, sqlStateOf } from "../sql-state.ts";
import { createReadClaimFacts } from "./claim-facts.ts";
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

/** Makes the take-over of a store. */
export function createAcquireCheckpoint(options: AcquireCheckpointOptions): AcquireCheckpoint {
  const { execute, transaction, applicationPrefix } = options;
  const { lockText, takeText, endBlockerText } = createTexts(options.tables);
  const readClaimFacts = createReadClaimFacts(options.tables);

  async function readFacts(run: Execute, { consumer, ...claim }: AcquireRequest): Promise<ClaimFacts | null> {
    const facts = await readClaimFacts(run, claim, [consumer]);
    return facts.get(consumer) ?? null;
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

function createTexts({ consumerCheckpoints }: Tables) {
  return {
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
