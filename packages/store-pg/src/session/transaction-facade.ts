import type { Kysely } from "kysely";
import type { Sql, TransactionSql } from "postgres";
import { type AfterCommit, registerAfterCommit } from "./after-commit.ts";
import { createSql } from "./create-sql.ts";
import { readSlices } from "./cursor.ts";
import type { OpenCursor } from "./guarded-query.ts";
import type { CreateDb } from "./kysely-dialect.ts";
import { swallow } from "./query.ts";
import { runSavepoint } from "./savepoint.ts";
import { TransactionControlError } from "./session-errors.ts";
import type { TransactionChannel } from "./transaction-channel.ts";
import { failScope, type Scope } from "./transaction-scope.ts";

/**
 * A transaction in the hands of who works in it. It can do everything except begin and end: that is done around it. When
 * it is over, or its connection is lost, whatever is executed through it rejects, and nothing is sent.
 */
export interface PgTransaction<Tables = unknown> {
  /**
   * The transaction as postgres.js offers it, except for COPY streams and `cancel()`. Any query that fails fails the
   * transaction, also when its error is caught; only a savepoint limits it. `int8` comes as text.
   */
  readonly sql: TransactionSql;
  /** The transaction as Kysely offers it. Values are sent as postgres.js does it: objects for `jsonb`, not their JSON. */
  readonly db: Kysely<Tables>;
  /**
   * Runs a part of the transaction that can fail by itself: if `work` rejects, or a query in it fails, what was done in
   * it is undone. Until it is over, only the handle given to `work` can be used.
   */
  savepoint<T>(work: (tx: PgTransaction<Tables>) => T | Promise<T>): Promise<T>;
}

export interface FacadeOptions<Tables> {
  /** Makes queries, never connects. */
  readonly maker: Sql;
  readonly channel: TransactionChannel;
  readonly createDb: CreateDb<Tables>;
  readonly afterCommit: AfterCommit;
}

type SqlWork = (sql: TransactionSql) => unknown;

/** Makes a transaction's handle. */
export function createFacade<Tables>(options: FacadeOptions<Tables>, root: Scope): PgTransaction<Tables> {
  const { maker, channel, createDb, afterCommit } = options;
  function facadeOf(scope: Scope): PgTransaction<Tables> {
    const dispatch = channel.dispatcher(scope);
    const openCursor: OpenCursor = (query, size) =>
      readSlices({ maker, dispatch, number: channel.nextNumber() }, query, size);
    const sql = Object.assign(createSql(maker, dispatch, openCursor), {
      savepoint(...args: [SqlWork] | [string, SqlWork]) {
        const [name, work] = args.length === 1 ? ["", args[0]] : args;
        return savepoint(scope, name, async (tx) => {
          const result = await work(tx.sql);
          return Array.isArray(result) ? Promise.all(result) : result;
        });
      },
      async prepare() {
        const refusal = new TransactionControlError("PREPARE TRANSACTION");
        failScope(scope, refusal);
        throw refusal;
      },
    }) as unknown as TransactionSql;

    let db: Kysely<Tables> | undefined;
    const tx: PgTransaction<Tables> = {
      sql,
      get db() {
        db ??= createDb(sql);
        return db;
      },
      savepoint: (work) => savepoint(scope, "", async (inner) => work(inner)),
    };
    registerAfterCommit(tx, afterCommit);
    return tx;
  }

  function savepoint<T>(parent: Scope, label: string, work: (tx: PgTransaction<Tables>) => Promise<T>): Promise<T> {
    // The label is for who reads the server's log.
    const name = `s${channel.nextNumber()}_${label.replaceAll(/[^a-z0-9_]/gi, "_").slice(0, 40)}`;
    const running = runSavepoint(channel, parent, name, (scope) => work(facadeOf(scope)));
    swallow(running);
    return running;
  }

  return facadeOf(root);
}
