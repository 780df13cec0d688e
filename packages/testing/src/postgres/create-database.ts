import { randomBytes } from "node:crypto";

/** A database of its own for one test file. */
export interface TestDatabase {
  readonly name: string;
  /** Connection string, with the server's user. */
  readonly url: string;
  /** Removes the database and cuts off whoever is still connected to it. Calling it twice is fine. */
  drop(): Promise<void>;
}

/** Settings of {@link createDatabase}. */
export interface CreateDatabaseOptions {
  /** Name of a database to copy, to which nobody is connected. @defaultValue none: the new database is empty */
  readonly template?: string | undefined;
}

/**
 * Creates a database on the server, under a name that nobody else has. Needs the package `postgres`.
 *
 * @param serverUrl connection string of any database of the server, for a user that may create databases
 *
 * @example
 * ```ts
 * const database = await createDatabase(server.url);
 * afterAll(() => database.drop());
 * ```
 */
export async function createDatabase(
  serverUrl: string,
  { template }: CreateDatabaseOptions = {},
): Promise<TestDatabase> {
  const name = `pup_test_${randomBytes(8).toString("hex")}`;
  const copied = template === undefined ? "" : ` TEMPLATE "${template.replaceAll('"', '""')}"`;
  await execute(serverUrl, `CREATE DATABASE ${name}${copied}`);
  const url = new URL(serverUrl);
  url.pathname = name;
  return {
    name,
    url: url.href,
    async drop() {
      // DROP DATABASE … WITH (FORCE) would do it alone, from 13 on.
      await execute(
        serverUrl,
        `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '${name}'`,
        `DROP DATABASE IF EXISTS ${name}`,
      );
    },
  };
}

async function execute(url: string, ...statements: string[]): Promise<void> {
  const { default: postgres } = await importPostgres();
  const sql = postgres(url, { max: 1, fetch_types: false, onnotice: () => {} });
  try {
    for (const statement of statements) await sql.unsafe(statement);
  } finally {
    await sql.end();
  }
}

async function importPostgres() {
  try {
    return await import("postgres");
  } catch (error) {
    throw new Error('Install "postgres" to create databases for tests.', { cause: error });
  }
}
