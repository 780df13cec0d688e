import type { ISql, TransactionSql } from "postgres";

/** A value that every driver sends as it is. Positions and times go as text, lists and objects as one JSON text. */
export type SqlValue = string | number | boolean | null;

/**
 * Runs one statement and resolves with its rows.
 *
 * The seam between what is said in SQL and whoever carries it: a pool, a session, pup's transactions or a caller's. Hence
 * columns have names of one lower-case word, which no driver's or plugin's idea of names changes, and types that all drivers
 * read the same way: text, `integer`, `double precision` and `boolean`.
 */
export type Execute = <Row extends object>(text: string, values?: readonly SqlValue[]) => Promise<readonly Row[]>;

/** What runs statements of postgres.js: a client, one of its transactions, or what the session layer puts in their place. */
interface Runner {
  unsafe(text: string, values: never[], options: { readonly prepare: boolean }): PromiseLike<readonly unknown[]>;
}

/** Runs statements prepared, unless the client was told not to. */
export function executeWith(runner: Runner): Execute {
  return async <Row>(text: string, values: readonly SqlValue[] = []) =>
    (await runner.unsafe(text, values as never[], { prepare: true })) as readonly Row[];
}

/** What pup's own transactions need of one. */
interface SqlTransaction {
  readonly sql: TransactionSql;
}

/** Runs a transaction of pup's own, whatever tables the user's Kysely knows. `onBegin` is sent together with BEGIN. */
export type RunSqlTransaction = <T>(
  work: (tx: SqlTransaction) => Promise<T>,
  options?: { readonly onBegin?: (tx: SqlTransaction) => Promise<undefined> },
) => Promise<T>;

/** A session of pup's own, always the same one. */
export interface SqlSession {
  readonly sql: ISql;
  readonly transaction: RunSqlTransaction;
  /** Process id of its backend, as it said when it was opened. */
  readonly pid: number;
  /** Aborted when it is lost. */
  readonly lost: AbortSignal;
  close(): Promise<void>;
}
