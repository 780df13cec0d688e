import { readdir, readFile } from "node:fs/promises";
import type { TableNames, Tables } from "./tables.ts";
import { defaultTableNames } from "./tables.ts";

/** One step of the schema, as it is shipped. */
export interface MigrationFile {
  readonly version: number;
  /** File name without its ending: `0001_events`. */
  readonly name: string;
  /** SQL with the default table names in quotes. */
  readonly text: string;
}

// Sources run where the files are written, at the top of the repository. The package ships a copy.
const folder = new URL(import.meta.url.endsWith(".ts") ? "../../../../migrations/" : "../migrations/", import.meta.url);

/** Reads all migrations, in order. */
export async function readMigrations(): Promise<readonly MigrationFile[]> {
  const files = (await readdir(folder)).filter((file) => /^\d{4}_\w+\.sql$/.test(file)).sort();
  return Promise.all(
    files.map(async (file) => ({
      version: Number(file.slice(0, 4)),
      name: file.slice(0, -".sql".length),
      text: await readFile(new URL(file, folder), "utf8"),
    })),
  );
}

/** Gives the tables in a migration their names. Whatever else stands in quotes there is left alone. */
export function nameTables(text: string, tables: Tables): string {
  const qualified = new Map(
    Object.entries(defaultTableNames).map(([key, name]) => [name, tables[key as keyof TableNames]]),
  );
  return text.replaceAll(/"([^"]+)"/g, (quoted, name: string) => qualified.get(name) ?? quoted);
}
