import { InvalidOptionError } from "@pup/core";
import { CompiledQuery, type Transaction } from "kysely";
import type { TransactionSql } from "postgres";
import { type Execute, executeWith, type SqlValue } from "../execute.ts";
import { concealData } from "../session/conceal-data.ts";
import type { PgTransaction } from "../session/transaction-facade.ts";

/** A transaction of the caller: pup's own, postgres.js', or Kysely's with whatever driver and plugins. */
// biome-ignore lint/suspicious/noExplicitAny: whatever tables the caller's Kysely knows, pup's are not among them.
export type PgTx = PgTransaction<any> | TransactionSql | Transaction<any>;

/**
 * Finds out how statements run in a transaction of the caller.
 *
 * @throws {@link InvalidOptionError} when it is none, for instance a client or a Kysely outside of a transaction
 */
export function executeIn(tx: PgTx): Execute {
  if (isPgTransaction(tx)) return executeWith(tx.sql);
  if (isKyselyTransaction(tx)) return withoutData(executeInKysely(tx));
  if (isTransactionSql(tx)) return withoutData(withOwnColumnNames(executeWith(tx)));
  throw new InvalidOptionError(
    "Expected `tx` to be a transaction: what `store.transaction()` or a consumer was given, `sql` of postgres.js' `begin()`, " +
      "or Kysely's `Transaction`. A client outside of a transaction is none.",
  );
}

function isPgTransaction(tx: PgTx): tx is PgTransaction {
  return typeof tx === "object" && tx !== null && "savepoint" in tx && isTransactionSql(tx.sql);
}

function isKyselyTransaction(tx: PgTx): tx is Transaction<unknown> {
  return typeof tx === "object" && tx !== null && "withoutPlugins" in tx && tx.isTransaction;
}

function isTransactionSql(tx: unknown): tx is TransactionSql {
  return typeof tx === "function" && "unsafe" in tx && "savepoint" in tx;
}

/** Another driver's errors may carry what was sent, which here are payloads. */
function withoutData(execute: Execute): Execute {
  return async (text, values) => {
    try {
      return await execute(text, values);
    } catch (error) {
      throw concealData(error);
    }
  };
}

/** Past the plugins, which may rename columns or parse values. */
function executeInKysely(tx: Transaction<unknown>): Execute {
  const bare = tx.withoutPlugins();
  return async <Row>(text: string, values: readonly SqlValue[] = []) =>
    (await bare.executeQuery<Row>(CompiledQuery.raw(text, [...values]))).rows;
}

/** A caller's client may write column names its own way, for instance with capitals. */
function withOwnColumnNames(execute: Execute): Execute {
  return async <Row extends object>(text: string, values?: readonly SqlValue[]) => {
    const rows = await execute<Row>(text, values);
    const [first = {}] = rows;
    if (Object.keys(first).every((name) => name === name.toLowerCase())) return rows;
    return rows.map(
      (row) => Object.fromEntries(Object.entries(row).map(([name, value]) => [name.toLowerCase(), value])) as Row,
    );
  };
}
