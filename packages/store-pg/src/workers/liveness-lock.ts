import { type Execute, executeWith, type SqlSession } from "../execute.ts";
import { mayEnd } from "../may-end.ts";
import { fleetKey } from "../schema/lock-keys.ts";
import type { Tables } from "../schema/tables.ts";
import { LOCK_NOT_AVAILABLE, sqlStateOf } from "../sql-state.ts";

/** A worker's lock, held by its session for as long as both live. Taking it gives back one held for another worker. */
export interface LivenessLock {
  /**
   * Takes the worker's lock if nobody has it.
   *
   * @param run - runs statements on the session, in a transaction or not: the lock stays when the transaction ends
   * @returns false when it is not held afterwards
   */
  tryHold(run: Execute, workerId: string): Promise<boolean>;
  /** Takes the worker's lock, also from an earlier session of the same worker. @returns false when it is not held afterwards */
  hold(workerId: string): Promise<boolean>;
}

/** How long the session before may take to go, once it was told to. */
const TAKE_OVER_TIMEOUT = "2s";

/**
 * Condition in SQL under which a row of `pg_locks` is the liveness lock of a worker's row.
 *
 * One bigint makes its key: the fleet above, below it the number of the worker's row, which no other worker of the fleet has.
 */
export function isLivenessLock(tables: Tables, lock: string, worker: string): string {
  return `${lock}.locktype = 'advisory' AND ${lock}.granted AND ${lock}.objsubid = 1
    AND ${lock}.database = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND ${lock}.classid = ${fleetKey(tables) >>> 0}::oid AND ${lock}.objid = ${worker}.lock_number::oid`;
}

/** Makes the liveness lock of one session. */
export function createLivenessLock(tables: Tables, { sql, transaction }: SqlSession): LivenessLock {
  const execute = executeWith(sql);
  const texts = createTexts(tables);
  let heldNumber: number | undefined;

  async function keep(run: Execute, number: number): Promise<void> {
    if (heldNumber !== undefined && heldNumber !== number) await run(texts.giveBack, [heldNumber]);
    heldNumber = number;
  }

  async function tryHold(run: Execute, workerId: string): Promise<boolean> {
    const [row] = await run<{ number: number; held: boolean }>(texts.hold, [workerId]);
    if (!row?.held) return false;
    await keep(run, row.number);
    return true;
  }

  /** Ends an earlier session of the same worker, which the server has not yet missed, and takes the lock that it leaves. */
  async function takeOver(workerId: string): Promise<boolean> {
    await execute(texts.endHolder, [workerId]);
    try {
      return await transaction(async (tx) => {
        const run = executeWith(tx.sql);
        await run("SELECT set_config('lock_timeout', $1::text, true)", [TAKE_OVER_TIMEOUT]);
        const [row] = await run<{ number: number }>(texts.wait, [workerId]);
        if (row) await keep(run, row.number);
        return row !== undefined;
      });
    } catch (error) {
      if (sqlStateOf(error) === LOCK_NOT_AVAILABLE) return false;
      throw error;
    }
  }

  return {
    tryHold,
    hold: async (workerId) => (await tryHold(execute, workerId)) || takeOver(workerId),
  };
}

function createTexts(tables: Tables) {
  const worker = `${tables.workerNodes} AS worker`;
  const isWorker = "worker.worker_id = $1::text::uuid";
  const isLock = isLivenessLock(tables, "lock", "worker");
  const keyOf = (number: string) => `(${fleetKey(tables)}::bigint << 32) | ${number}`;
  return {
    // Locks count: asked for again by who has it, it would have to be given back twice.
    hold: `
SELECT worker.lock_number AS number, CASE
  WHEN EXISTS (SELECT FROM pg_locks AS lock WHERE lock.pid = pg_backend_pid() AND ${isLock}) THEN true
  ELSE pg_try_advisory_lock(${keyOf("worker.lock_number")})
END AS held
FROM ${worker} WHERE ${isWorker}`,
    endHolder: `
SELECT pg_terminate_backend(lock.pid)
FROM ${worker}, pg_locks AS lock JOIN pg_stat_activity AS session ON session.pid = lock.pid
WHERE ${isWorker} AND ${isLock} AND ${mayEnd("session")}`,
    wait: `
SELECT worker.lock_number AS number, pg_advisory_lock(${keyOf("worker.lock_number")}) IS NULL AS held
FROM ${worker} WHERE ${isWorker}`,
    giveBack: `SELECT pg_advisory_unlock(${keyOf("$1::integer")})`,
  };
}
