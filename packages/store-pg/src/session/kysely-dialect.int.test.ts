import { CamelCasePlugin, sql as kyselySql } from "kysely";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { openSessionLab, outcomeOf, type SessionLab } from "../test-support/session-lab.ts";

describe("Kysely in a transaction", () => {
  let lab: SessionLab;
  beforeAll(async () => {
    lab = await openSessionLab();
    await lab.admin`create table notes (id int primary key, body text)`;
  });
  afterAll(() => lab.close());
  beforeEach(async () => {
    await lab.admin`truncate notes`;
  });

  const three = [1, 2, 3].map((id) => ({ id, body: `note ${id}` }));

  it("reads and writes in the same transaction as `sql`", async () => {
    await lab.open().transaction(async ({ db, sql }) => {
      await db.insertInto("notes").values(three).execute();
      await sql`delete from notes where id = 2`;

      expect(await db.selectFrom("notes").select("id").where("id", "in", [1, 2, 3]).orderBy("id").execute()).toEqual([
        { id: 1 },
        { id: 3 },
      ]);
    });

    expect(await lab.admin`select id from notes order by id`).toEqual([{ id: 1 }, { id: 3 }]);
  });

  it("rolls back with it", async () => {
    const transaction = lab.open().transaction(async ({ db }) => {
      await db.insertInto("notes").values(three).execute();
      await db.insertInto("notes").values(three).execute();
    });

    await expect(transaction).rejects.toMatchObject({ code: "23505" });
    expect(await lab.admin`select from notes`).toHaveLength(0);
  });

  it("tells how many rows a statement changed", async () => {
    await lab.open().transaction(async ({ db }) => {
      expect(await db.insertInto("notes").values(three).executeTakeFirst()).toMatchObject({
        numInsertedOrUpdatedRows: 3n,
      });
      expect(await db.updateTable("notes").set({ body: "x" }).where("id", ">", 1).executeTakeFirst()).toMatchObject({
        numUpdatedRows: 2n,
      });
      expect(await db.deleteFrom("notes").executeTakeFirst()).toMatchObject({ numDeletedRows: 3n });
      expect(await db.insertInto("notes").values(three).returning("id").execute()).toHaveLength(3);
    });
  });

  it("streams, while other statements run", async () => {
    const read: number[] = [];
    await lab.open().transaction(async ({ db }) => {
      await db.insertInto("notes").values(three).execute();
      for await (const { id } of db.selectFrom("notes").select("id").where("id", ">", 0).orderBy("id").stream(2)) {
        read.push(id);
        await db.updateTable("notes").set({ body: "read" }).where("id", "=", id).execute();
      }
      for await (const { id } of db.deleteFrom("notes").where("id", "<", 3).returning("id").stream(1)) read.push(id);
      for await (const { id } of db.selectFrom("notes").select("id").stream()) {
        read.push(id);
        break;
      }
    });

    expect(read).toEqual([1, 2, 3, 1, 2, 3]);
  });

  it("takes raw SQL, and plugins", async () => {
    const sessions = lab.open({ plugins: [new CamelCasePlugin()] });

    await sessions.transaction(async ({ db, sql }) => {
      const { rows } = await kyselySql`select ${7}::int as some_column, ${[1, 2]}::int[] as list`.execute(db);
      expect(rows).toEqual([{ someColumn: 7, list: [1, 2] }]);
      expect(await sql`select 7 as some_column`).toEqual([{ some_column: 7 }]);
    });
  });

  it("is made when it is asked for, and once for each handle", async () => {
    await lab.open().transaction(async (tx) => {
      const { db } = tx;
      expect(tx.db).toBe(db);
      await tx.savepoint(async (sp) => expect(sp.db).not.toBe(db));
    });
  });

  it.each(["transaction", "startTransaction"])("refuses %s, since the transaction is not its own", async (way) => {
    const sessions = lab.open();
    await sessions.transaction(async ({ db }) => {
      const begun = way === "transaction" ? db.transaction().execute(async () => 1) : db.startTransaction().execute();

      expect(await outcomeOf(begun)).toBe("PUP_TRANSACTION_CONTROL");
    });
  });

  it("can do nothing after the transaction", async () => {
    const sessions = lab.open({ maxTransactions: 1 });
    const { kept } = await sessions.transaction(async ({ db }) => ({ kept: db }));

    await sessions.transaction(async () => {
      expect(await outcomeOf(kept.insertInto("notes").values(three).execute())).toBe("PUP_TRANSACTION_OVER");
    });
    expect(await lab.admin`select from notes`).toHaveLength(0);
  });

  it.each([
    [undefined, 1],
    [false, 0],
  ])("prepares its statements unless told not to (prepare: %s)", async (prepare, expected) => {
    await lab.open({ prepare }).transaction(async ({ db, sql }) => {
      for (const id of [1, 2, 3]) await db.selectFrom("notes").select("body").where("id", "=", id).execute();

      const prepared =
        sql`select from pg_prepared_statements where statement like 'select "body" from "notes"%'`.simple();
      expect(await prepared).toHaveLength(expected);
    });
  });
});
