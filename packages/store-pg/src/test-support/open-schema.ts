import { createDatabase, type TestDatabase } from "@pup/testing/postgres";
import postgres, { type Sql } from "postgres";
import { afterAll, beforeAll, inject } from "vitest";
import { createPgStore, type PgStore } from "../create-store.ts";
import type { PgStoreOptions } from "../options.ts";
import { migrate } from "../schema/migrate.ts";

/** A migrated schema of its own, and what a test needs to work in it. */
export interface TestSchema extends AsyncDisposable {
  readonly url: string;
  readonly schema: string;
  /** A client of the test's own, outside of the store. Its search path begins with the schema. */
  readonly sql: Sql;
  /** Another store on the same schema, as another process has it. */
  openStore(options?: Partial<PgStoreOptions>): PgStore;
}

/** Gives a test file a database, and each test that asks a schema in it. */
export function useSchemas(): (options?: { readonly max?: number }) => Promise<TestSchema> {
  let database: TestDatabase;
  let count = 0;
  beforeAll(async () => {
    database = await createDatabase(inject("postgresUrl"));
  });
  afterAll(() => database.drop());

  return async ({ max = 10 } = {}) => {
    count += 1;
    const schema = `schema ${count}`;
    const { url } = database;
    await migrate({ connection: url, schema });
    const sql = postgres(url, {
      max,
      fetch_types: false,
      onnotice: () => undefined,
      connection: { search_path: `"${schema}"`, application_name: "test" },
    });
    const stores: PgStore[] = [];
    return {
      url,
      schema,
      sql,
      openStore(options) {
        const store = createPgStore({ connection: url, schema, ...options });
        stores.push(store);
        return store;
      },
      async [Symbol.asyncDispose]() {
        await Promise.all(stores.map((store) => store.close()));
        await sql.end();
      },
    };
  };
}
