import { SchemaTooNewError } from "@pup/core";
import type { Execute } from "../execute.ts";
import { schemaVersion } from "./migration-files.ts";
import type { Tables } from "./tables.ts";

interface AppliedRow {
  readonly version: number;
  readonly compatible: number;
}

/**
 * Reads which migrations were applied.
 *
 * @returns their versions; null when the list itself is not there
 * @throws {@link SchemaTooNewError} when one of them is unknown here and does not say that older code works with it
 */
export async function readAppliedVersions(
  execute: Execute,
  { pupMigrations }: Tables,
): Promise<ReadonlySet<number> | null> {
  const [list] = await execute<{ missing: boolean }>("SELECT to_regclass($1::text) IS NULL AS missing", [
    pupMigrations,
  ]);
  if (list?.missing) return null;

  const applied = await execute<AppliedRow>(
    `SELECT version, coalesce(compatible_since, version) AS compatible FROM ${pupMigrations} ORDER BY version`,
  );
  const tooNew = applied.find(({ compatible }) => compatible > schemaVersion);
  if (tooNew) {
    throw new SchemaTooNewError(
      `Expected tables that this release knows (version ${schemaVersion}), found version ${tooNew.version}. Deploy the newer release.`,
    );
  }
  return new Set(applied.map(({ version }) => version));
}
