import { InvalidStateError, type Logger, silentLogger } from "@pup/core";
import { type Execute, executeWith } from "../execute.ts";
import type { ClientFactory, ConnectionOptions } from "../session/client.ts";
import { createSessions } from "../session/create-sessions.ts";
import { readAppliedVersions } from "./applied-migrations.ts";
import { quoteIdentifier } from "./identifier.ts";
import { MIGRATION_LOCK_CLASS, migrationKey } from "./lock-keys.ts";
import { type MigrationFile, nameTables, readMigrations } from "./migration-files.ts";
import { resolveTables, type SchemaOptions, type Tables } from "./tables.ts";

/** What {@link migrate} is given. */
export interface MigrateOptions extends SchemaOptions {
  /** How to reach the server: connection string, options of postgres.js, or a factory of its clients. */
  readonly connection: ConnectionOptions | ClientFactory;
  /** Hears which migrations are applied. @defaultValue silent */
  readonly logger?: Logger | undefined;
}

/** What {@link migrate} has done. */
export interface MigrateResult {
  /** Names of the migrations that were missing and are applied now, in order. */
  readonly applied: readonly string[];
}

/**
 * Creates pup's tables, or brings them up to date: applies the migrations that are missing, all or none, and creates the
 * schema if it is not there. Safe when several processes call it at once: one applies, the others wait and find it done.
 *
 * The same files can be applied by any other tool instead: they stand in the package's folder `migrations`.
 *
 * @example
 * ```ts
 * await migrate({ connection: "postgres://localhost/shop" });
 * ```
 *
 * @throws {@link InvalidIdentifierError} when PostgreSQL cannot keep a name as it is
 * @throws {@link SchemaTooNewError} when the tables were made by a newer release that this one cannot work with
 */
export async function migrate({ connection, logger = silentLogger, ...names }: MigrateOptions): Promise<MigrateResult> {
  const tables = resolveTables(names);
  const migrations = await readMigrations();
  const sessions = createSessions({ connection, maxTransactions: 1, maxStatements: 1, logger });
  try {
    return await sessions.transaction(async ({ sql }) => {
      const execute = executeWith(sql);
      await execute(`SELECT pg_advisory_xact_lock(${MIGRATION_LOCK_CLASS}, ${migrationKey(tables)})`);
      await createSchema(execute, tables);
      const versions = await readAppliedVersions(execute, tables);
      const missing = migrations.filter(({ version }) => !versions?.has(version));
      for (const migration of missing) {
        logger.info({ migration: migration.name, schema: tables.schema }, "applying a migration");
        // Without parameters, so that the server takes all statements of the file at once.
        await apply(migration, () => sql.unsafe(nameTables(migration.text, tables)));
      }
      return { applied: missing.map(({ name }) => name) };
    });
  } finally {
    await sessions.close();
  }
}

/** Asked for first: who may not create schemas may still use one that is there. */
async function createSchema(execute: Execute, { schema }: Tables): Promise<void> {
  const [found] = await execute("SELECT true AS found FROM pg_namespace WHERE nspname = $1::text", [schema]);
  if (!found) await execute(`CREATE SCHEMA ${quoteIdentifier(schema)}`);
}

async function apply({ name }: MigrationFile, run: () => PromiseLike<unknown>): Promise<void> {
  try {
    await run();
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new InvalidStateError(`Migration ${name} cannot be applied, and nothing was changed: ${reason}.`, { cause });
  }
}
