import postgres, { type Sql } from "postgres";
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { prepareStores } from "./prepare-stores.ts";

let admin: Sql;
beforeAll(() => {
  admin = postgres(inject("postgresUrl"), { max: 1 });
});
afterAll(() => admin.end());

const databaseExists = async (url: string) =>
  (await admin`SELECT FROM pg_database WHERE datname = ${new URL(url).pathname.slice(1)}`).length === 1;

/** The least that a store can be. */
function openStore(url: string) {
  const sql = postgres(url, { max: 1 });
  return { sql, close: () => sql.end() };
}

function prepareNotes() {
  const prepared: string[] = [];
  const stores = prepareStores({
    serverUrl: inject("postgresUrl"),
    async prepare(url) {
      prepared.push(url);
      const store = openStore(url);
      await store.sql`CREATE TABLE notes (text text)`;
      await store.close();
    },
    openStore,
  });
  return { prepared, stores };
}

describe("prepareStores", () => {
  it("opens each store on a copy of its own of what was prepared once", async () => {
    const { prepared, stores } = prepareNotes();
    const [first, second] = await Promise.all([stores.open(), stores.open()]);
    await first.store.sql`INSERT INTO notes VALUES ('mine')`;

    expect(await first.store.sql`SELECT * FROM notes`).toHaveLength(1);
    expect(await second.store.sql`SELECT * FROM notes`).toHaveLength(0);
    expect(prepared).toHaveLength(1);

    await Promise.all([first.close(), second.close()]);
    await stores.close();
  });

  it("leaves nothing behind", async () => {
    const { prepared, stores } = prepareNotes();
    const { url, close } = await stores.open();
    expect(await databaseExists(url)).toBe(true);

    await close();
    expect(await databaseExists(url)).toBe(false);
    await stores.close();
    await stores.close();
    expect(await databaseExists(prepared[0] ?? "")).toBe(false);
  });

  it("tells everybody who asks when the database cannot be prepared, and drops it", async () => {
    let failed = "";
    const stores = prepareStores({
      serverUrl: inject("postgresUrl"),
      async prepare(url) {
        failed = url;
        throw new Error("No tables today.");
      },
      openStore,
    });

    await expect(stores.open()).rejects.toThrow("No tables today.");
    await expect(stores.open()).rejects.toThrow("No tables today.");
    await stores.close();
    expect(await databaseExists(failed)).toBe(false);
  });

  it("does nothing unless a store is asked for", async () => {
    const { prepared, stores } = prepareNotes();
    await stores.close();

    expect(prepared).toEqual([]);
  });
});
