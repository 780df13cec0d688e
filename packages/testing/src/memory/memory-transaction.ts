import { InvalidStateError } from "@pup/core";
import type { Database } from "./database.ts";
import { checkUsable, lockRow, readRow, readRows, type Transaction, writeRow } from "./transaction.ts";

/** A table of the test's own, for read models: rows by key, copied on their way in and out. */
export interface MemoryTable<Row> {
  /** Reads a row; undefined when there is none. */
  get(key: string): Promise<Row | undefined>;
  /** Writes a row, whether there is one or not. */
  set(key: string, row: Row): Promise<void>;
  /** Writes what `change` makes of the row as it is (undefined when there is none). Nobody comes in between. */
  update(key: string, change: (row: Row | undefined) => Row): Promise<Row>;
  /** @returns whether there was such a row */
  delete(key: string): Promise<boolean>;
  /** All rows by key. */
  list(): Promise<Map<string, Row>>;
}

/** What a consumer of the in-memory store gets as `tx`. */
export interface MemoryTransaction {
  /** A table by name; it comes into being with its first row. */
  table<Row>(name: string): MemoryTable<Row>;
}

// Prefix of the test's own tables, so that none of them can meet one of the store's.
const OWN = "own:";

const transactionOf = new WeakMap<MemoryTransaction, Transaction>();

/** Hands a transaction out. What was handed out does nothing any more once the transaction is over. */
export function lendTransaction(database: Database, transaction: Transaction): MemoryTransaction {
  const use = async <Result>(act: () => Result | Promise<Result>): Promise<Result> => {
    checkUsable(transaction);
    return act();
  };

  const tx: MemoryTransaction = {
    table<Row>(name: string): MemoryTable<Row> {
      const table = OWN + name;
      const read = (key: string) => copy(readRow<Row>(database, transaction, table, key));
      const change = (key: string, makeRow: (row: Row | undefined) => Row | undefined) =>
        use(async () => {
          await lockRow(database, transaction, table, key);
          const row = copy(makeRow(read(key)));
          writeRow(transaction, table, key, row);
          return copy(row);
        });
      return {
        get: (key) => use(() => read(key)),
        list: () => use(() => copy(readRows<Row>(database, transaction, table))),
        async set(key, row) {
          await change(key, () => row);
        },
        update: (key, makeRow) => change(key, makeRow) as Promise<Row>,
        async delete(key) {
          let existed = false;
          await change(key, (row) => {
            existed = row !== undefined;
            return undefined;
          });
          return existed;
        },
      };
    },
  };
  transactionOf.set(tx, transaction);
  return tx;
}

/**
 * The transaction behind what a caller hands back.
 *
 * @throws {@link InvalidStateError} when it is not one of an in-memory store
 */
export function borrowedTransaction(tx: MemoryTransaction): Transaction {
  const transaction = transactionOf.get(tx);
  if (transaction === undefined)
    throw new InvalidStateError("Expected `tx` to be a transaction of an in-memory store.");
  return transaction;
}

/** What nobody can change needs no copy. */
function copy<Value>(value: Value): Value {
  return typeof value === "object" ? structuredClone(value) : value;
}

/** Committed rows of one of the test's own tables. */
export function readCommittedTable<Row>(database: Database, name: string): ReadonlyMap<string, Row> {
  const rows = readRows<Row>(database, null, OWN + name);
  for (const [key, row] of rows) rows.set(key, copy(row));
  return rows;
}
