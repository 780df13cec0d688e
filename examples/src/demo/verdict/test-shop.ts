import { createWorker } from "@pup/coordinator";
import { createPollDispatcher } from "@pup/dispatch-poll";
import { createPgStore, type PgStore } from "@pup/store-pg";
import { createDatabase } from "@pup/testing/postgres";
import postgres, { type Sql } from "postgres";
import { prepareDatabase } from "../prepare-database.ts";
import { shopConsumers } from "../shop/consumers/index.ts";
import type { Decision } from "../shop/decide.ts";
import type { ShopTables } from "../shop/tables.ts";
import { withTrail } from "../worker/with-trail.ts";

/** A shop with a database of its own, for tests of the verdict. */
export interface TestShop {
  readonly sql: Sql;
  readonly store: PgStore<ShopTables>;
  /** What was appended here, as a producer would account for it. */
  readonly account: { readonly acknowledged: Set<string>; readonly rolledBack: Set<string> };
  append(decision: Decision): Promise<void>;
  /** Appends in a transaction that is then rolled back. */
  rollBack(decision: Decision): Promise<void>;
  /** Lets all consumers handle what is there, through this store instead of the shop's own if one is given. */
  handle(store?: PgStore<ShopTables>): Promise<void>;
  close(): Promise<void>;
}

/** Opens a shop on the server of the tests. */
export async function openTestShop(serverUrl: string): Promise<TestShop> {
  const database = await createDatabase(serverUrl);
  const sql = postgres(database.url, { max: 2, onnotice: () => undefined });
  await prepareDatabase(sql, database.url);
  const ownStore = createPgStore<ShopTables>({ connection: database.url });
  const account = { acknowledged: new Set<string>(), rolledBack: new Set<string>() };

  return {
    sql,
    store: ownStore,
    account,
    async append({ events, expectedVersion }) {
      for (const { id } of (await ownStore.append(events, { expectedVersion })).events) account.acknowledged.add(id);
    },
    async rollBack({ events, expectedVersion }) {
      const changedMind = new Error("not after all");
      const undone = ownStore.transaction(async (tx) => {
        for (const { id } of (await ownStore.append(events, { expectedVersion, tx })).events)
          account.rolledBack.add(id);
        throw changedMind;
      });
      await undone.catch((error) => {
        if (error !== changedMind) throw error;
      });
    },
    async handle(store = ownStore) {
      const consumers = shopConsumers.map(withTrail);
      await createWorker({ store, dispatcher: createPollDispatcher(), consumers }).runOnce();
    },
    async close() {
      await ownStore.close();
      await sql.end();
      await database.drop();
    },
  };
}
