import { readFile } from "node:fs/promises";
import { migrate } from "@pup/store-pg";
import type { Sql } from "postgres";

/** Makes pup's tables and the shop's. Answers with the server's version. */
export async function prepareDatabase(sql: Sql, databaseUrl: string): Promise<{ readonly version: string }> {
  await migrate({ connection: databaseUrl });
  await sql.unsafe(await readFile(new URL("./shop/tables.sql", import.meta.url), "utf8"));
  const [{ version }] = await sql<[{ version: string }]>`select split_part(version(), ' ', 2) as version`;
  return { version };
}
