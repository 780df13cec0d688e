import postgres from "postgres";
import { describe, expect, inject, it } from "vitest";
import { createDatabase } from "./create-database.ts";

describe("createDatabase", () => {
  it("gives every caller an empty database of its own", async () => {
    const serverUrl = inject("postgresUrl");
    const [one, other] = await Promise.all([createDatabase(serverUrl), createDatabase(serverUrl)]);
    try {
      expect(one.name).not.toBe(other.name);
      const sql = postgres(one.url, { max: 1 });
      const [row] =
        await sql`SELECT current_database() AS name, (SELECT count(*)::int FROM pg_stat_user_tables) AS tables`;
      await sql.end();
      expect(row).toEqual({ name: one.name, tables: 0 });
    } finally {
      await Promise.all([one.drop(), other.drop()]);
    }
  });

  it("drops a database that somebody still uses", async () => {
    const database = await createDatabase(inject("postgresUrl"));
    const sql = postgres(database.url, { max: 1, onclose: () => {} });
    await sql`SELECT 1`;

    await database.drop();

    await expect(sql`SELECT 1`).rejects.toThrow(database.name);
    await sql.end();
  });

  it("does nothing when asked to drop twice", async () => {
    const database = await createDatabase(inject("postgresUrl"));
    await database.drop();
    await expect(database.drop()).resolves.toBeUndefined();
  });
});
