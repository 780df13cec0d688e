import { InvalidStateError } from "@pup/core";
import type { Database } from "./database.ts";
import { type MemoryConnectionError, MemoryDeadlockError } from "./errors.ts";
import type { StoredEvent } from "./event-table.ts";

/** A transaction as the server sees it: READ COMMITTED, rows locked by whoever writes them. */
export interface Transaction {
  /** Changes when the transaction is prepared. */
  id: string;
  pid: number | null;
  readonly applicationName: string;
  readonly beganAtMs: number;
  /** Has tried to write to the log: counts as in flight until it ends. */
  appender: boolean;
  state: "open" | "prepared" | "over";
  /** Aborted with the reason when the transaction can do nothing any more. */
  readonly ended: AbortController;
  /** A statement failed: all that is left is to roll back. */
  failure: Error | null;
  /** Own changes: table name to key to row; undefined where the row was deleted. */
  readonly changes: Map<string, Map<string, unknown>>;
  /** Own appends. */
  readonly events: StoredEvent[];
  readonly afterCommit: (() => void)[];
}

/** Begins a transaction. */
export function beginTransaction(database: Database, applicationName: string): Transaction {
  const transaction: Transaction = {
    // Counts from 1 in every run of the server, so that an identity of an earlier run comes back.
    id: `3/${++database.lastVirtualId}`,
    pid: ++database.lastPid,
    applicationName,
    beganAtMs: database.clock.now(),
    appender: false,
    state: "open",
    ended: new AbortController(),
    failure: null,
    changes: new Map(),
    events: [],
    afterCommit: [],
  };
  database.transactions.add(transaction);
  return transaction;
}

/**
 * @throws {@link InvalidStateError} when the transaction is over
 * @throws the failure of an earlier statement
 */
export function checkUsable(transaction: Transaction): void {
  transaction.ended.signal.throwIfAborted();
  if (transaction.failure) throw transaction.failure;
}

/**
 * Locks a row until the transaction ends. Afterwards nobody else can have changed it unseen.
 *
 * @throws the reason when the transaction ends, or `signal` aborts, during the wait
 */
export async function lockRow(
  database: Database,
  transaction: Transaction,
  table: string,
  key: string,
  signal?: AbortSignal,
): Promise<void> {
  checkUsable(transaction);
  const ended = transaction.ended.signal;
  try {
    await database.locks.acquire(transaction, rowName(table, key), signal ? AbortSignal.any([ended, signal]) : ended);
  } catch (error) {
    if (error instanceof MemoryDeadlockError) breakTransaction(database, transaction, error);
    throw error;
  }
}

/** Name of a row, for its lock. */
export function rowName(table: string, key: string): string {
  return JSON.stringify([table, key]);
}

/** Breaks a transaction by a statement that failed: nothing of it is left but to roll back, and nobody waits for it any more. */
export function breakTransaction(database: Database, transaction: Transaction, failure: Error): void {
  transaction.failure = failure;
  transaction.appender = false;
  transaction.changes.clear();
  transaction.events.length = 0;
  database.locks.releaseAll(transaction);
}

/** Reads a row: the transaction's own change of it, or what is committed. */
export function readRow<Row>(
  database: Database,
  transaction: Transaction | null,
  table: string,
  key: string,
): Row | undefined {
  const changes = transaction?.changes.get(table);
  return (changes?.has(key) ? changes.get(key) : database.rows.get(table)?.get(key)) as Row | undefined;
}

/** Goes through the rows of a table in no order, own changes included. */
export function* eachRow<Row>(database: Database, transaction: Transaction | null, table: string): Iterable<Row> {
  const changes = transaction?.changes.get(table);
  for (const [key, row] of database.rows.get(table) ?? []) if (!changes?.has(key)) yield row as Row;
  for (const row of changes?.values() ?? []) if (row !== undefined) yield row as Row;
}

/** Reads all rows of a table, own changes included. */
export function readRows<Row>(database: Database, transaction: Transaction | null, table: string): Map<string, Row> {
  const rows = new Map(database.rows.get(table) as Map<string, Row> | undefined);
  for (const [key, row] of transaction?.changes.get(table) ?? []) {
    if (row === undefined) rows.delete(key);
    else rows.set(key, row as Row);
  }
  return rows;
}

/** Writes a row that the transaction has locked; undefined deletes it. */
export function writeRow(transaction: Transaction, table: string, key: string, row: unknown): void {
  const changes = transaction.changes.get(table);
  if (changes) changes.set(key, row);
  else transaction.changes.set(table, new Map([[key, row]]));
}

/** Makes everything that the transaction did visible at once. */
export function commitTransaction(database: Database, transaction: Transaction): void {
  if (transaction.state !== "prepared") checkUsable(transaction);
  for (const [table, changes] of transaction.changes) {
    const rows = database.rows.get(table) ?? new Map<string, unknown>();
    database.rows.set(table, rows);
    for (const [key, row] of changes) {
      if (row === undefined) rows.delete(key);
      else rows.set(key, row);
    }
  }
  database.events.add(transaction.events);
  end(database, transaction, new InvalidStateError("Expected a transaction that is still open, but it was committed."));
  for (const act of transaction.afterCommit) act();
}

/** Undoes everything. What the transaction had not yet finished rejects with the reason. Twice is fine. */
export function rollbackTransaction(
  database: Database,
  transaction: Transaction,
  reason: Error = new InvalidStateError("Expected a transaction that is still open, but it was rolled back."),
): void {
  end(database, transaction, reason);
}

/** Prepares a transaction for two-phase commit: no connection carries it any more, and its identity changes. */
export function prepareTransaction(database: Database, transaction: Transaction): void {
  checkUsable(transaction);
  transaction.state = "prepared";
  transaction.id = `-1/${++database.lastPreparedId}`;
  transaction.pid = null;
  transaction.ended.abort(new InvalidStateError("Expected a transaction that is still open, but it was prepared."));
}

/** Ends all transactions but the prepared ones, as when every connection is lost. */
export function loseTransactions(database: Database, reason: MemoryConnectionError): void {
  for (const transaction of [...database.transactions]) {
    if (transaction.state !== "prepared") rollbackTransaction(database, transaction, reason);
  }
}

/** Gives prepared transactions other ids, as the server does when it starts again. */
export function renamePrepared(database: Database): void {
  for (const transaction of database.transactions) {
    if (transaction.state === "prepared") transaction.id = `-1/${++database.lastPreparedId}`;
  }
}

function end(database: Database, transaction: Transaction, reason: Error): void {
  if (transaction.state === "over") return;
  transaction.state = "over";
  database.transactions.delete(transaction);
  transaction.ended.abort(reason);
  database.locks.releaseAll(transaction);
}
