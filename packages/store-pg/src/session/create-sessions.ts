import { InvalidStateError } from "@pup/core";
import type { ISql, Notice } from "postgres";
import { createClientOpener } from "./client.ts";
import { type DedicatedSession, openDedicatedSession } from "./dedicated-session.ts";
import { createBackendEnder, END_BACKEND_GRACE_MS } from "./end-backend.ts";
import { createDbFactory } from "./kysely-dialect.ts";
import { resolveSessionsOptions, type SessionsOptions } from "./options.ts";
import { createSession, type Session } from "./session.ts";
import { createSessionPool } from "./session-pool.ts";
import { createStatements } from "./statements.ts";
import { createTransactions, type RunTransaction } from "./transaction.ts";

/**
 * All connections of a store. Statements and transactions never share one, and no connection is opened a second time: what
 * survives a lost connection is the pool, never a session.
 */
export interface Sessions<Tables = unknown> {
  /** Single statements, each a transaction of its own. A lost connection rejects those on it; nothing is tried again. */
  readonly sql: ISql;
  readonly transaction: RunTransaction<Tables>;
  /** Opens a connection of its own, for what belongs to a session. @throws {@link ConnectionFailedError} */
  openSession(options?: OpenSessionOptions): Promise<DedicatedSession<Tables>>;
  /** Lets what is running finish, then ends everything. Nothing is left open. Twice is fine. */
  close(options?: { readonly timeoutMs?: number | undefined }): Promise<void>;
}

export interface OpenSessionOptions {
  /** Gives up connecting. */
  readonly signal?: AbortSignal | undefined;
  /** Time for one statement, in milliseconds. @defaultValue that of the other statements */
  readonly statementTimeoutMs?: number | undefined;
}

const CLOSE_TIMEOUT_MS = 5_000;

/**
 * Opens nothing yet: connections are made when they are needed.
 *
 * @example
 * ```ts
 * const sessions = createSessions<Tables>({ connection: "postgres://localhost/shop" });
 * await sessions.transaction(async (tx) => {
 *   await tx.sql`insert into orders (id) values (${id})`;
 *   await tx.db.updateTable("totals").set({ orders: 1 }).execute();
 * });
 * await sessions.close();
 * ```
 *
 * @throws {@link InvalidOptionError} when an option cannot work
 */
export function createSessions<Tables = unknown>(options: SessionsOptions): Sessions<Tables> {
  const { connection, applicationName, statementTimeoutMs, maxLifetimeMs, ...rest } = resolveSessionsOptions(options);
  const openClient = createClientOpener({ connection, applicationName, prepare: rest.prepare });
  const openSocket = typeof connection === "object" ? connection.socket : undefined;
  // Without detail and context, which may quote what is in the database.
  const onNotice = ({ severity, code, message }: Notice) =>
    rest.logger.debug({ notice: { severity, code, message } }, "PostgreSQL sent a notice");
  const open = (): Session => createSession({ openClient, openSocket, onNotice });
  const maker = openClient({ socket: neverConnect, onClose: () => undefined, onNotice });

  // Opened for the occasion: the pools may be full just when a backend has to be ended.
  const terminators = createSessionPool({ max: 1, open, maxLifetimeMs: 0 });
  const cut = async (session: Session, reason: Error) => session.cut(reason);
  const ask = createStatements({ maker, pool: terminators, timeoutMs: END_BACKEND_GRACE_MS, endBackend: cut });
  const endBackend = createBackendEnder(async (pid) => {
    // By its name as well: the number may be another program's by now.
    const ended = await ask`
      select pg_terminate_backend(pid) from pg_stat_activity
      where pid = ${pid} and application_name = ${applicationName} and usename = current_user`;
    return ended.length > 0;
  });

  const statements = createSessionPool({ max: rest.maxStatements, open, maxLifetimeMs });
  const transactions = createSessionPool({ max: rest.maxTransactions, open, maxLifetimeMs });
  const dedicated = new Set<DedicatedSession<Tables>>();
  const createDb = createDbFactory<Tables>(rest.plugins);
  let closing: Promise<void> | undefined;

  async function openSession({ signal, ...own }: OpenSessionOptions = {}): Promise<DedicatedSession<Tables>> {
    refuseWhenClosed();
    const timeoutMs = own.statementTimeoutMs ?? statementTimeoutMs;
    const parts = { maker, session: open(), statementTimeoutMs: timeoutMs, createDb, endBackend };
    const opened = await openDedicatedSession<Tables>(parts, signal);
    dedicated.add(opened);
    opened.lost.addEventListener("abort", () => dedicated.delete(opened));
    if (closing !== undefined) await opened.close();
    refuseWhenClosed();
    return opened;
  }

  function refuseWhenClosed(): void {
    if (closing !== undefined) throw new InvalidStateError("The connections to PostgreSQL are closed.");
  }

  async function closeAll(timeoutMs: number): Promise<void> {
    const pools = [statements, transactions].map((pool) => pool.close(timeoutMs, endBackend));
    await Promise.all([...pools, ...[...dedicated].map((session) => session.close())]);
    await terminators.close(0, cut);
  }

  return {
    sql: createStatements({ maker, pool: statements, timeoutMs: statementTimeoutMs, endBackend }),
    transaction: createTransactions({ maker, pool: transactions, createDb, endBackend }),
    openSession,
    close({ timeoutMs = CLOSE_TIMEOUT_MS } = {}) {
      closing ??= closeAll(timeoutMs);
      return closing;
    },
  };
}

function neverConnect(): never {
  throw new InvalidStateError("This client only makes queries.");
}
