import type { ISql, Sql } from "postgres";
import type { EndBackend } from "./end-backend.ts";
import type { CreateDb } from "./kysely-dialect.ts";
import type { Session } from "./session.ts";
import { createSessionPool } from "./session-pool.ts";
import { createStatements } from "./statements.ts";
import { createTransactions, type RunTransaction } from "./transaction.ts";

/**
 * A connection for one purpose, outside the pools: what the server keeps for a session (advisory locks, settings) stays as
 * long as it lives. It is one session, never silently another one: once lost, it stays lost and every use rejects.
 */
export interface DedicatedSession<Tables = unknown> {
  /** Process id of its backend. Behind a pooler, that of the first statement's. */
  readonly pid: number;
  /** Aborts as soon as the session is known to be lost, or is closed. */
  readonly lost: AbortSignal;
  /** Single statements. One at a time: they wait for each other, and for transactions. */
  readonly sql: ISql;
  /** Runs a transaction on this session. */
  readonly transaction: RunTransaction<Tables>;
  /** Ends the session; what is running gets a second to finish. Twice is fine. */
  close(): Promise<void>;
}

export interface DedicatedSessionParts<Tables> {
  readonly maker: Sql;
  readonly session: Session;
  readonly statementTimeoutMs: number;
  readonly createDb: CreateDb<Tables>;
  readonly endBackend: EndBackend;
}

const CLOSE_GRACE_MS = 1_000;

/** Connects the session and asks it who it is. Closes it when that fails. */
export async function openDedicatedSession<Tables>(
  { maker, session, statementTimeoutMs, createDb, endBackend }: DedicatedSessionParts<Tables>,
  signal: AbortSignal | undefined,
): Promise<DedicatedSession<Tables>> {
  // The same one each time: when it is lost, there is no other.
  const pool = createSessionPool({ max: 1, open: () => session, maxLifetimeMs: Number.POSITIVE_INFINITY });
  const sql = createStatements({ maker, pool, timeoutMs: statementTimeoutMs, endBackend });
  const transaction = createTransactions({ maker, pool, createDb, endBackend });

  const lost = new AbortController();
  session.watch((loss) => lost.abort(loss));
  let closing: Promise<void> | undefined;
  const close = () => {
    closing ??= pool.close(CLOSE_GRACE_MS, endBackend);
    return closing;
  };

  signal?.throwIfAborted();
  const giveUp = () => session.cut(signal?.reason);
  signal?.addEventListener("abort", giveUp, { once: true });
  try {
    const [row] = await sql<{ pid: number }[]>`select pg_backend_pid() as pid`;
    return { pid: row?.pid ?? 0, lost: lost.signal, sql, transaction, close };
  } catch (error) {
    await close();
    throw error;
  } finally {
    signal?.removeEventListener("abort", giveUp);
  }
}
