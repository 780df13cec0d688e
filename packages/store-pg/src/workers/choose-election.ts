import { randomUUID } from "node:crypto";
import { type ElectionDriver, UnsupportedError } from "@pup/core";
import { executeWith, type SqlSession } from "../execute.ts";
import type { ElectionSetting } from "../options.ts";

/** What {@link createElectionChoice} needs. */
export interface ElectionChoiceOptions {
  readonly setting: ElectionSetting;
  /** Opens another session like the one that is looked at. */
  readonly openSession: (options: { readonly signal?: AbortSignal | undefined }) => Promise<SqlSession>;
}

/** Says how a leader is elected over connections like these. */
export interface ElectionChoice {
  /**
   * Looks once; afterwards the answer stands.
   *
   * @throws {@link UnsupportedError} when locks of sessions are asked for where there are no sessions
   */
  choose(session: SqlSession, signal?: AbortSignal | undefined): Promise<ElectionDriver>;
  /** Notes that a session was none after all, and what was chosen is wrong. @returns what to tell whoever uses the session */
  refute(): UnsupportedError;
}

/** What a connection turned out to be. */
type Finding = "session" | "pooled" | "unknown";

/** Time that the look may take, in milliseconds. A pooler without a free connection lets its clients wait for much longer. */
const LOOK_LIMIT_MS = 2_000;

/** How often the two are compared: where others use the pooler too, chance may have it that they do not meet. */
const ROUNDS = 3;

// A setting that nobody reads: what a session is told it keeps, and a pooler's backend may have been reset since.
const SET_MARK = "SELECT set_config('pup.look', $1::text, false)";
const ASK = "SELECT pg_backend_pid() AS pid, coalesce(current_setting('pup.look', true), '') AS mark";

export function createElectionChoice({ setting, openSession }: ElectionChoiceOptions): ElectionChoice {
  let chosen: ElectionDriver | undefined = setting === "lease" ? "lease" : undefined;

  return {
    async choose(session, signal) {
      if (chosen !== undefined) return chosen;
      const finding = await look(session, openSession, signal);
      if (setting === "auto") chosen = finding === "session" ? "advisory" : "lease";
      else if (finding === "pooled") throw noSessions();
      // No answer in time proves no pooler. Each tick proves pid and lock anyway, and tells when there is one after all.
      else chosen = "advisory";
      return chosen;
    },
    refute() {
      if (setting === "auto") chosen = "lease";
      return noSessions();
    },
  };
}

/**
 * Looks whether a connection is a session of the server's, or a pooler deals its transactions out to whatever backend is free.
 *
 * An idle pooler hands out the same backend each time, so one client sees nothing. A second one opens a transaction, which
 * keeps a backend for itself: a pooler gives it the one that the first was just served by, or the first gets another one.
 * No lock is taken that could stay behind on a backend that others go on using.
 */
async function look(
  session: SqlSession,
  openSession: ElectionChoiceOptions["openSession"],
  signal: AbortSignal | undefined,
): Promise<Finding> {
  const limit = new AbortController();
  const timeUp = new Promise<"time up">((resolve) => {
    limit.signal.addEventListener("abort", () => resolve("time up"), { once: true });
  });
  const timer = setTimeout(() => limit.abort(new Error("No answer in time.")), LOOK_LIMIT_MS);
  const giveUp = () => limit.abort(signal?.reason);
  signal?.addEventListener("abort", giveUp, { once: true });
  if (signal?.aborted) giveUp();

  const first = executeWith(session.sql);
  const mark = randomUUID();
  async function isSame(): Promise<boolean> {
    const [row] = await first<{ pid: number; mark: string }>(ASK);
    return row?.pid === session.pid && row.mark === mark;
  }
  async function compareWith(other: SqlSession): Promise<Finding> {
    // Poolers that deal backends out in turn show it here, if not at the first question then at the second.
    if (!(await isSame()) || !(await isSame())) return "pooled";
    return other.transaction(async ({ sql }) => {
      const [held] = await executeWith(sql)<{ pid: number; mark: string }>(ASK);
      if (held?.pid === session.pid || held?.mark === mark) return "pooled";
      const same = await Promise.race([isSame(), timeUp]);
      if (same === "time up") return "unknown";
      return same ? "session" : "pooled";
    });
  }
  async function compare(): Promise<Finding> {
    await first(SET_MARK, [mark]);
    const other = await openSession({ signal: limit.signal });
    try {
      let finding: Finding = "session";
      for (let round = 0; round < ROUNDS && finding === "session"; round++) finding = await compareWith(other);
      return finding;
    } finally {
      await Promise.race([other.close(), timeUp]);
    }
  }

  const comparing = compare();
  try {
    const outcome = await Promise.race([comparing, timeUp]);
    signal?.throwIfAborted();
    return outcome === "time up" ? "unknown" : outcome;
  } catch (error) {
    if (limit.signal.aborted && !signal?.aborted) return "unknown";
    throw error;
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", giveUp);
    comparing.catch(() => undefined); // Its time is over, or it was heard.
  }
}

function noSessions(): UnsupportedError {
  return new UnsupportedError(
    'Expected a connection that is a session, as `election: "advisory"` needs for its locks, but statements are answered by ' +
      "changing backends. That is what a pooler in transaction mode does, such as PgBouncer: connect to the server itself, " +
      'use session mode, or leave `election` at "auto" or set it to "lease".',
  );
}
