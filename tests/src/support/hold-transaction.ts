import type { PgStore, PgTransaction } from "@pup/store-pg";
import type { HeldTransaction } from "@pup/testing/contracts";
import type { Kysely, Transaction } from "kysely";
import type { Sql, TransactionSql } from "postgres";

/** Thrown inside of a transaction to roll it back. */
class RolledBack extends Error {}

/** A transaction of pup's own that stays open until the test ends it. */
export function holdPupTransaction(store: PgStore): Promise<HeldTransaction<PgTransaction>> {
  return hold((work) => store.transaction(work));
}

/** A transaction of postgres.js that stays open until the test ends it. */
export function holdPostgresTransaction(client: Sql): Promise<HeldTransaction<TransactionSql>> {
  return hold((work) => client.begin(work) as Promise<void>);
}

/** A transaction of Kysely that stays open until the test ends it. */
export function holdKyselyTransaction(db: Kysely<unknown>): Promise<HeldTransaction<Transaction<unknown>>> {
  return hold((work) => db.transaction().execute(work));
}

function hold<Tx>(run: (work: (tx: Tx) => Promise<void>) => Promise<void>): Promise<HeldTransaction<Tx>> {
  return new Promise((resolve, reject) => {
    const end = Promise.withResolvers<void>();
    const running = run((tx) => {
      resolve({
        tx,
        async commit() {
          end.resolve();
          await running;
        },
        async rollback() {
          end.reject(new RolledBack());
          await running.catch((error: unknown) => {
            if (!(error instanceof RolledBack)) throw error;
          });
        },
      });
      return end.promise;
    });
    running.catch(reject);
  });
}
