import type { Sql } from "postgres";
import type { AfterCommit } from "./after-commit.ts";
import type { EndBackend } from "./end-backend.ts";
import { watchForInterruption } from "./interruption.ts";
import type { CreateDb } from "./kysely-dialect.ts";
import { swallow } from "./query.ts";
import type { Session } from "./session.ts";
import {
  SavepointOpenError,
  TransactionAbortedError,
  TransactionOverError,
  TransactionTimeoutError,
} from "./session-errors.ts";
import type { SessionPool } from "./session-pool.ts";
import { createChannel } from "./transaction-channel.ts";
import { commit, rollBack } from "./transaction-end.ts";
import { createFacade, type PgTransaction } from "./transaction-facade.ts";
import { closeScope, createScope, partOf, rootCause, type Scope } from "./transaction-scope.ts";

/** How one transaction is run. */
export interface TransactionOptions<Tables = unknown> {
  /** Gives the transaction up, as long as its COMMIT has not been sent; also while it waits for its turn. */
  readonly signal?: AbortSignal | undefined;
  /** Time from BEGIN to the end, connecting included, in milliseconds; waiting for its turn does not count. @defaultValue no limit */
  readonly timeoutMs?: number | undefined;
  /**
   * Sends the first statements together with BEGIN, which saves a round trip; the work starts when they are answered, and
   * not at all if one fails. They must do no harm outside a transaction: should BEGIN fail, each would be one of its own.
   * Resolves with the backend's process id if it has read it, which is needed to end the backend behind a pooler.
   */
  readonly onBegin?: ((tx: PgTransaction<Tables>) => Promise<BackendFacts | undefined>) | undefined;
  /**
   * Sends the last statements, through a handle of its own: the one that the work was given can send nothing any more by
   * then. Not called when something has failed.
   */
  readonly beforeCommit?: ((tx: PgTransaction<Tables>) => Promise<void>) | undefined;
}

export interface BackendFacts {
  readonly backendPid: number;
}

/**
 * Runs `work` in a READ COMMITTED transaction. Commits when it resolves and no query has failed; else rolls back and
 * rejects with what went wrong. Rejects only when nothing of the transaction can run any more, also when `work` never settles.
 *
 * @throws {@link CommitUnknownError} when the answer to COMMIT was lost: read what it would have written
 * @throws {@link TransactionTimeoutError} when `timeoutMs` ran out
 * @throws {@link TransactionAbortedError} when the signal aborted
 * @throws {@link ConnectionFailedError} when no connection could be opened
 * @throws {@link ConnectionLostError} when the connection was lost before COMMIT was sent
 */
export type RunTransaction<Tables> = <T>(
  work: (tx: PgTransaction<Tables>) => T | Promise<T>,
  options?: TransactionOptions<Tables>,
) => Promise<T>;

export interface TransactionsOptions<Tables> {
  readonly maker: Sql;
  readonly pool: SessionPool;
  readonly createDb: CreateDb<Tables>;
  readonly endBackend: EndBackend;
}

const BEGIN = "begin isolation level read committed";

export function createTransactions<Tables>(parts: TransactionsOptions<Tables>): RunTransaction<Tables> {
  return async (work, options = {}) => {
    const session = await lend(parts.pool, options.signal);
    try {
      return await run(parts, session, work, options);
    } finally {
      parts.pool.release(session);
    }
  };
}

async function lend(pool: SessionPool, signal: AbortSignal | undefined): Promise<Session> {
  try {
    return await pool.wait(signal);
  } catch (error) {
    throw signal?.aborted ? new TransactionAbortedError({ cause: signal.reason }) : error;
  }
}

/** Returns or throws when the session is at rest again, or lost. */
async function run<Tables, T>(
  { maker, createDb, endBackend }: TransactionsOptions<Tables>,
  session: Session,
  work: (tx: PgTransaction<Tables>) => T | Promise<T>,
  { signal, timeoutMs, onBegin, beforeCommit }: TransactionOptions<Tables>,
): Promise<T> {
  // Ours lasts from BEGIN to COMMIT; the work's own is closed before.
  const scope = createScope();
  const workScope = partOf(scope);
  const channel = createChannel(maker, session);
  const afterCommit: AfterCommit = new Set();
  const open = (part: Scope) => createFacade({ maker, channel, createDb, afterCommit }, part);
  let backendPid: number | undefined;
  let interruption: Error | undefined;
  let committing = false;
  let unwatch: (() => void) | undefined;

  async function perform(): Promise<T> {
    const begun = channel.control(scope, BEGIN);
    const opening = onBegin?.(open(scope));
    if (opening !== undefined) swallow(opening);
    await begun;
    if (opening !== undefined) backendPid = (await opening)?.backendPid;
    if (scope.failure !== undefined) throw scope.failure.error;
    const value = await work(open(workScope));
    settle(workScope, interruption);
    if (beforeCommit !== undefined) await beforeCommit(open(scope));
    return value;
  }

  try {
    const value = await new Promise<T>((resolve, reject) => {
      unwatch = watchForInterruption({ session, signal, timeoutMs }, (reason) => {
        if (committing) return giveUpCommit(reason);
        interruption ??= reason;
        const lost = reason === session.loss;
        closeScope(scope, () => (lost ? reason : overBecause(reason)));
        reject(reason);
      });
      perform().then(resolve, reject);
    });
    settle(scope, interruption);
    committing = true;
    await commit(maker, session, scope);
    for (const act of afterCommit) act();
    return value;
  } catch (error) {
    if (committing) throw error;
    const reason = interruption ?? session.loss ?? rootCause(scope, error);
    closeScope(scope, overBecause);
    const end = (cause: Error) => endBackend(session, cause, backendPid);
    if (interruption !== undefined && session.busy) await end(interruption);
    else await rollBack(maker, session, end);
    throw reason;
  } finally {
    unwatch?.();
  }

  /** COMMIT cannot be taken back. When its time is over, though, it is not waited for any longer. */
  function giveUpCommit(reason: Error): void {
    if (reason instanceof TransactionTimeoutError) void endBackend(session, reason, backendPid);
  }
}

/** The work has ended well; now nothing may be sent through the handle any more. @throws what went wrong all the same */
function settle(scope: Scope, interruption: Error | undefined): void {
  const leftOpen = scope.hasSavepoint;
  closeScope(scope, overBecause);
  if (interruption !== undefined) throw interruption;
  if (scope.failure !== undefined) throw scope.failure.error;
  if (leftOpen) throw new SavepointOpenError();
}

function overBecause(cause?: Error): TransactionOverError {
  return new TransactionOverError("transaction", cause === undefined ? undefined : { cause });
}
