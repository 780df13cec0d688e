import type { HeldTransaction } from "@pup/testing/contracts";
import { CamelCasePlugin, Kysely, PostgresDialect, sql, type Transaction } from "kysely";
import type { Sql, TransactionSql } from "postgres";
import type { PgStore } from "../create-store.ts";
import type { PgTransaction } from "../session/transaction-facade.ts";
import { createPgPool } from "./pg-pool.ts";

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

/** A Kysely with another driver than pup's and a plugin that renames columns. */
export function openKysely(url: string): Kysely<unknown> {
  return new Kysely<unknown>({
    dialect: new PostgresDialect({ pool: createPgPool(url) }),
    plugins: [new CamelCasePlugin()],
  });
}

let prepared = 0;

/** A transaction of such a Kysely that stays open until the test ends it; it can be prepared. */
export async function holdKyselyTransaction(db: Kysely<unknown>): Promise<HeldTransaction<Transaction<unknown>>> {
  const tx = await db.startTransaction().execute();
  let name: string | undefined;

  async function end(command: "commit" | "rollback"): Promise<void> {
    await tx[command]().execute();
    if (name !== undefined) await sql.raw(`${command} prepared '${name}'`).execute(db);
  }

  return {
    tx,
    commit: () => end("commit"),
    rollback: () => end("rollback"),
    async prepare() {
      prepared += 1;
      name = `held ${process.pid} ${prepared}`;
      await sql.raw(`prepare transaction '${name}'`).execute(tx);
    },
  };
}
