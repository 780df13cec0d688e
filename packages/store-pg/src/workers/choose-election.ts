import { type ElectionDriver, UnsupportedError } from "@pup/core";
import { executeWith, type SqlSession } from "../execute.ts";
import type { ElectionSetting } from "../options.ts";

/** What {@link createChooseElection} needs. */
export interface ChooseElectionOptions {
  readonly setting: ElectionSetting;
  /** Opens another session like the one that is looked at. */
  readonly openSession: (options: { readonly signal?: AbortSignal | undefined }) => Promise<SqlSession>;
}

/** Says how a leader is elected over connections like this one. Looks once; afterwards the answer stands. */
export type ChooseElection = (session: SqlSession, signal?: AbortSignal | undefined) => Promise<ElectionDriver>;

/** What a connection turned out to be. */
type Finding = "session" | "pooled" | "unknown";

/** Time that the look may take, in milliseconds. A pooler without a free connection lets its clients wait for much longer. */
const LOOK_LIMIT_MS = 2_000;

const ASK_PID = "SELECT pg_backend_pid() AS pid";

/**
 * Makes what chooses the driver.
 *
 * @throws {@link UnsupportedError} from the chooser, when locks of sessions are asked for where there are no sessions
 */
export function createChooseElection({ setting, openSession }: ChooseElectionOptions): ChooseElection {
  let chosen: ElectionDriver | undefined = setting === "lease" ? "lease" : undefined;

  return async (session, signal) => {
    if (chosen !== undefined) return chosen;
    const finding = await look(session, openSession, signal);
    if (setting === "auto") chosen = finding === "session" ? "advisory" : "lease";
    else if (finding === "pooled") throw noSessions();
    // No answer in time proves no pooler. Each tick proves the lock anyway, so the worst is that nobody leads.
    else chosen = "advisory";
    return chosen;
  };
}

/**
 * Looks whether a connection is a session of the server's, or a pooler deals its transactions out to whatever backend is free.
 *
 * An idle pooler hands out the same backend each time, so one client sees nothing. A second one opens a transaction, which
 * keeps a backend for itself: a pooler gives it the one that the first was just served by, or the first gets another one.
 * Nothing is locked and nothing is set, hence nothing stays behind on a backend that others go on using.
 */
async function look(
  session: SqlSession,
  openSession: ChooseElectionOptions["openSession"],
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

  const isSame = async () => {
    const [row] = await executeWith(session.sql)<{ pid: number }>(ASK_PID);
    return row?.pid === session.pid;
  };
  async function compare(): Promise<Finding> {
    // Poolers that deal backends out in turn show it here already, and it costs no time: the other one is connecting.
    const [before, opened] = await Promise.allSettled([isSame(), openSession({ signal: limit.signal })]);
    if (opened.status === "rejected") throw opened.reason;
    const other = opened.value;
    try {
      if (before.status === "rejected") throw before.reason;
      if (!before.value) return "pooled";
      return await other.transaction(async ({ sql }) => {
        const [held] = await executeWith(sql)<{ pid: number }>(ASK_PID);
        if (held?.pid === session.pid) return "pooled";
        const same = await Promise.race([isSame(), timeUp]);
        if (same === "time up") return "unknown";
        return same ? "session" : "pooled";
      });
    } finally {
      const closing = other.close();
      await Promise.race([closing, timeUp]);
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
