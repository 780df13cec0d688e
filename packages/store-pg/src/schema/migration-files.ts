import { readFile } from "node:fs/promises";
import { InvalidStateError } from "@pup/core";
import { defaultTableNames, type TableNames, type Tables } from "./tables.ts";

/** One step of the schema, as it is shipped. */
export interface MigrationFile {
  readonly version: number;
  /** File name without its ending: `0001_events`. */
  readonly name: string;
  /** SQL with the default table names in quotes. */
  readonly text: string;
}

/** Every migration, in order. Written down, so that a program which was bundled into one file still knows what it needs. */
export const migrationNames = ["0001_events", "0002_workers"] as const;

/** Version of the tables that this release works with. */
export const schemaVersion = migrationNames.length;

// Sources run where the files are written, at the top of the repository. The package ships a copy.
const folder = new URL(import.meta.url.endsWith(".ts") ? "../../../../migrations/" : "../migrations/", import.meta.url);

/**
 * Reads all migrations, in order.
 *
 * @throws {@link InvalidStateError} when they are not there
 */
export function readMigrations(): Promise<readonly MigrationFile[]> {
  return Promise.all(
    migrationNames.map(async (name, index) => ({ version: index + 1, name, text: await readMigration(name) })),
  );
}

async function readMigration(name: string): Promise<string> {
  try {
    return await readFile(new URL(`${name}.sql`, folder), "utf8");
  } catch (cause) {
    throw new InvalidStateError(
      `Expected the migrations of @pup/store-pg beside its code, but ${name}.sql is not there. ` +
        "Where a program was bundled, apply them from the package's folder `migrations` instead.",
      { cause },
    );
  }
}

/** Gives the tables in a migration their names. Whatever else stands in quotes there is left alone. */
export function nameTables(text: string, tables: Tables): string {
  const qualified = new Map(
    Object.entries(defaultTableNames).map(([key, name]) => [name, tables[key as keyof TableNames]]),
  );
  return text.replaceAll(/"([^"]+)"/g, (quoted, name: string) => qualified.get(name) ?? quoted);
}
