import { createDatabase, type TestDatabase } from "@pup/testing/postgres";
import postgres, { type Sql } from "postgres";
import { afterAll, beforeAll, inject } from "vitest";
import { createPgStore, type PgStore } from "../create-store.ts";
import type { PgStoreOptions } from "../options.ts";
import { migrate } from "../schema/migrate.ts";
import { defaultTableNames } from "../schema/tables.ts";

/** A migrated schema of its own, and what a test needs to work in it. */
export interface TestSchema extends AsyncDisposable {
  readonly url: string;
  readonly schema: string;
  /** A client of the test's own, outside of the store. Its search path begins with the schema. */
  readonly sql: Sql;
  /** Another store on the same schema, as another process has it. */
  openStore(options?: Partial<PgStoreOptions>): PgStore;
}

/** Takes away what a test has written. Not with TRUNCATE, which makes new files for every table and index. */
const EMPTY = [
  ...Object.values(defaultTableNames)
    .filter((name) => name !== defaultTableNames.pupMigrations)
    .map((name) => `DELETE FROM ${name}`),
  "SELECT setval(pg_get_serial_sequence('events', 'global_position'), 1, false)",
  "SELECT setval(pg_get_serial_sequence('worker_nodes', 'lock_number'), 1, false)",
].join("; ");

/** How a file's tests use their schemas. */
export interface UseSchemasOptions {
  /** Tests leave rows behind and nothing else: what one has done with is emptied for another, at a tenth of what a new one costs. */
  readonly reuse?: boolean;
}

/** Gives a test file a database, and each test that asks a schema in it. */
export function useSchemas({
  reuse = false,
}: UseSchemasOptions = {}): (options?: { readonly max?: number }) => Promise<TestSchema> {
  let database: TestDatabase;
  let count = 0;
  const free: string[] = [];
  beforeAll(async () => {
    database = await createDatabase(inject("postgresUrl"));
  });
  afterAll(() => database.drop());

  async function makeSchema(): Promise<string> {
    count += 1;
    const schema = `schema ${count}`;
    await migrate({ connection: database.url, schema });
    return schema;
  }

  return async ({ max = 10 } = {}) => {
    const schema = free.pop() ?? (await makeSchema());
    const { url } = database;
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
        if (reuse) {
          await sql.unsafe(EMPTY).simple();
          free.push(schema);
        }
        await sql.end();
      },
    };
  };
}
