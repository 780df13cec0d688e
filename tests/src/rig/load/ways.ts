import type { PgStore, PgTransaction } from "@pup/store-pg";
import { type ControlledTransaction, type Kysely, sql as kyselySql } from "kysely";
import type { Sql, TransactionSql } from "postgres";

/** A transaction that appends can join. */
// biome-ignore lint/suspicious/noExplicitAny: whatever tables it knows, the rig appends and nothing else.
export type AppendTx = PgTransaction | TransactionSql | ControlledTransaction<any, any>;

/** A transaction under way. */
export interface OpenTransaction {
  readonly tx: AppendTx;
  /** Does a part of the transaction, which is undone when `work` rejects. */
  savepoint(work: (inner: AppendTx) => Promise<void>): Promise<void>;
}

/** Runs a transaction in one of the ways in which applications do. Commits when `work` resolves. */
export type Way = (work: (transaction: OpenTransaction) => Promise<void>) => Promise<void>;

/** The end of a transaction was asked for, and the answer is lost. */
export class OutcomeUnknown extends Error {
  override readonly name = "OutcomeUnknown";
}

/** By the application's own client of postgres.js. */
export function throughPostgresJs(sql: Sql): Way {
  return async (work) => {
    await sql.begin(async (tx) => {
      await work({
        tx,
        async savepoint(part) {
          await tx.savepoint((inner) => part(inner));
        },
      });
    });
  };
}

/** By the store. */
export function throughStore(store: Pick<PgStore, "transaction">): Way {
  return (work) => store.transaction((tx) => work({ tx, savepoint: (part) => tx.savepoint(part) }));
}

/** By Kysely, on another driver. */
export function throughKysely(db: Kysely<unknown>): Way {
  return async (work) => {
    const tx = await db.startTransaction().execute();
    await inKysely(tx, work);
    try {
      await tx.commit().execute();
    } catch (error) {
      await giveUp(tx);
      throw new OutcomeUnknown("The commit was not acknowledged.", { cause: error });
    }
  };
}

/** By Kysely, prepared for two-phase commit under a name instead of committed. */
export function throughPrepare(db: Kysely<unknown>, name: string): Way {
  return async (work) => {
    const tx = await db.startTransaction().execute();
    await inKysely(tx, work);
    try {
      await kyselySql`prepare transaction ${kyselySql.lit(name)}`.execute(tx);
    } catch (error) {
      throw new OutcomeUnknown("The preparation was not acknowledged.", { cause: error });
    } finally {
      // The session has no transaction any more; Kysely has to be told.
      await giveUp(tx);
    }
  };
}

async function inKysely(
  tx: ControlledTransaction<unknown>,
  work: (transaction: OpenTransaction) => Promise<void>,
): Promise<void> {
  try {
    await work({
      tx,
      async savepoint(part) {
        const inner = await tx.savepoint("part").execute();
        try {
          await part(inner);
        } catch (error) {
          await inner.rollbackToSavepoint("part").execute();
          throw error;
        }
        await inner.releaseSavepoint("part").execute();
      },
    });
  } catch (error) {
    await giveUp(tx);
    throw error;
  }
}

/** Rolls back what may be over already. */
async function giveUp(tx: ControlledTransaction<unknown>): Promise<void> {
  await tx
    .rollback()
    .execute()
    .catch(() => undefined);
}
