import type { TestProject } from "vitest/node";
// Without a build, store-pg would not find them in its folder.
import "./scripts/copy-migrations.ts";
import { startPostgres } from "./packages/testing/src/postgres/index.ts";

/**
 * One PostgreSQL server for a whole test run, of the version that the project or the environment names. A test file takes a database of its own on it:
 *
 * ```ts
 * const database = await createDatabase(inject("postgresUrl"));
 * afterAll(() => database.drop());
 * ```
 */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  const version = project.config.env?.PUP_TEST_POSTGRES_VERSION;
  const server = await startPostgres({
    ...(version !== undefined && { version: Number(version) }),
    settings: { max_connections: 200, max_prepared_transactions: 20 },
  });
  project.provide("postgresUrl", server.url);
  return server.close;
}
