import type { Leadership } from "@pup/core";
import { mayEnd } from "../may-end.ts";
import { fleetKey, LEADER_LOCK_CLASS } from "../schema/lock-keys.ts";
import type { Tables } from "../schema/tables.ts";
import type { Leader } from "./assign-consumers.ts";
import { isLeaderLock, leaseTexts } from "./leader-lease.ts";
import type { ElectionContext, SessionElection } from "./session-election.ts";

interface Attempt {
  /** The backend is the session's own. */
  readonly here: boolean;
  readonly locked: boolean;
  /** Somebody leads who reports to be alive. */
  readonly led: boolean;
  /** Term of a leader that does not; null when there is none. */
  readonly silent: string | null;
}

/**
 * Makes the session that holds one advisory lock the leader.
 *
 * The server frees the lock when the session ends, and nobody tells: so each tick asks whether this very backend still holds
 * it. If not, and the session lives, it is none: a pooler deals backends out. The lock decides who may begin a term, the term decides whose assignments are written.
 */
export function createAdvisoryElection(context: ElectionContext): SessionElection {
  const { execute, pid, lost } = context;
  const texts = createTexts(context.tables);
  let leader: Leader | null = null;
  let leads = false;
  /** The session may hold the lock. Locks count, so it is never asked for while this is true. */
  let mayHoldLock = false;
  let suspect: { readonly pid: number; readonly term: string } | null = null;
  let leaderMissing = false;

  async function prove(): Promise<Leadership | null> {
    if (!leader) return null;
    const [row] = await execute<{ here: boolean; current: boolean }>(texts.prove, [
      leader.ownerId,
      String(leader.term),
      pid,
    ]);
    // It lives, and holds no longer what it was given.
    if (row?.here === false) throw context.refute();
    return row?.current ? { term: leader.term } : null;
  }

  async function stand(): Promise<Leadership | null> {
    const timeoutMs = context.heartbeatTimeoutMs();
    const [attempt] = await execute<Attempt>(texts.stand, [timeoutMs, pid]);
    if (attempt?.here === false) throw context.refute();
    leaderMissing = attempt?.locked === false && !attempt.led;
    if (!attempt?.locked) {
      if (attempt && attempt.silent !== null && timeoutMs !== null) await depose(timeoutMs);
      else suspect = null;
      return null;
    }
    mayHoldLock = true;
    suspect = null;
    const ownerId = context.ownerId();
    const [raised] = await execute<{ term: string }>(texts.raiseTerm, [ownerId]);
    // Somebody has taken a lease meanwhile: that leader's time comes first.
    if (!raised) return null;
    leader = { ownerId, term: Number(raised.term) };
    return prove();
  }

  /**
   * Ends the session of a leader that holds the lock and does not report any more: frozen, or behind a dead line. Not before it
   * is seen twice: one that has just been elected takes a moment to put its name into the row.
   */
  async function depose(timeoutMs: number): Promise<void> {
    const [found] = await execute<{ pid: number; term: string }>(texts.depose, [
      timeoutMs,
      suspect?.pid ?? null,
      suspect?.term ?? null,
      context.applicationPrefix,
    ]);
    suspect = found ?? null;
  }

  async function stepDown(): Promise<void> {
    leads = false;
    await execute(texts.unlock);
    mayHoldLock = false;
  }

  async function tick(): Promise<Leadership | null> {
    try {
      const leadership = leads ? await prove() : mayHoldLock ? null : await stand();
      leads = leadership !== null;
      if (!leads && mayHoldLock) await stepDown();
      return leadership;
    } catch (error) {
      leads = false;
      // Whatever went wrong: who is not sure does not lead. And somebody has to know: a fleet without a leader looks healthy.
      if (mayHoldLock && !lost.aborted) await stepDown();
      throw error;
    }
  }

  return {
    driver: "advisory",
    get leader() {
      return leader;
    },
    get leaderMissing() {
      return leaderMissing;
    },
    tick,
    async resign() {
      if (leads && leader) await execute(texts.vacate, [leader.ownerId, String(leader.term)]);
      await stepDown();
    },
  };
}

function createTexts(tables: Tables) {
  const { raiseTerm, vacate, isHeld, isLeased, isLed, silentTerm } = leaseTexts(tables);
  const key = fleetKey(tables);
  const isLock = isLeaderLock(tables, "lock");
  const isHeldHere = `EXISTS (SELECT FROM pg_locks AS lock WHERE ${isLock} AND lock.pid = pg_backend_pid())`;
  return {
    raiseTerm,
    vacate,
    stand: `
SELECT pg_backend_pid() = $2::integer AS here,
  CASE WHEN pg_backend_pid() <> $2::integer OR ${isLeased} THEN false ELSE pg_try_advisory_lock(${LEADER_LOCK_CLASS}, ${key}) END AS locked,
  ${isLed("$1")} AS led, (${silentTerm}) AS silent`,
    prove: `SELECT pg_backend_pid() = $3::integer AND ${isHeldHere} AS here, ${isHeld} AS current`,
    unlock: `SELECT CASE WHEN ${isHeldHere} THEN pg_advisory_unlock(${LEADER_LOCK_CLASS}, ${key}) END AS unlocked`,
    depose: `
SELECT lock.pid, silent.term,
  CASE WHEN lock.pid = $2::integer AND silent.term = $3::text THEN pg_terminate_backend(lock.pid) END AS ended
FROM (${silentTerm}) AS silent, pg_locks AS lock JOIN pg_stat_activity AS session ON session.pid = lock.pid
WHERE ${isLock} AND ${mayEnd("session")} AND starts_with(session.application_name || ' ', $4::text || ' ')`,
  };
}
