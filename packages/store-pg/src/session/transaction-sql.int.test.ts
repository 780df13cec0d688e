import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TransactionSql } from "postgres";
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished } from "vitest";
import { expectNoCrash, openSessionLab, outcomeOf, type SessionLab } from "../test-support/session-lab.ts";

let lab: SessionLab;
beforeAll(async () => {
  lab = await openSessionLab();
  await lab.admin`create table notes (id int primary key, body text, tags text[], facts jsonb)`;
});
afterAll(() => lab.close());
beforeEach(async () => {
  await lab.admin`truncate notes`;
});

async function ids(): Promise<number[]> {
  return (await lab.admin<{ id: number }[]>`select id from notes order by id`).map(({ id }) => id);
}

describe("A transaction's `sql`", () => {
  it("offers what postgres.js offers", async () => {
    const folder = await mkdtemp(join(tmpdir(), "pup-sql-"));
    onTestFinished(() => rm(folder, { recursive: true }));
    const file = join(folder, "count.sql");
    await writeFile(file, "select count(*)::int as notes from notes where id > $1");

    await lab.open().transaction(async ({ sql }) => {
      const rows = [
        { id: 1, body: "one", tags: sql.array(["a", 'b "c" \\d', "{e,f}"]), facts: sql.json({ deep: [1, null] }) },
        { id: 2, body: "two", tags: sql.array([]), facts: sql.json("text") },
      ];
      await sql`insert into notes ${sql(rows)}`;

      const where = sql`where id in ${sql([1, 2])}`;
      expect(await sql`select * from ${sql("notes")} ${where} order by id`).toEqual([
        { id: 1, body: "one", tags: ["a", 'b "c" \\d', "{e,f}"], facts: { deep: [1, null] } },
        { id: 2, body: "two", tags: [], facts: "text" },
      ]);
      expect(await sql`select id from notes where id = any(${[2, 3]})`).toEqual([{ id: 2 }]);
      expect(await sql`update notes set ${sql({ body: "changed" }, "body")} where id = 1 returning body`).toEqual([
        { body: "changed" },
      ]);
      expect(await sql.unsafe("select $1::int + 1 as sum", [1])).toEqual([{ sum: 2 }]);
      expect(await sql.unsafe("select 1 as one; select 2 as two")).toEqual([[{ one: 1 }], [{ two: 2 }]]);
      expect(await sql.file(file, [1])).toEqual([{ notes: 1 }]);
      expect(await sql`select ${sql.typed("7", 23)} + 1 as sum`).toEqual([{ sum: 8 }]);
      expect(await sql`select id, body from notes order by id`.values()).toEqual([
        [1, "changed"],
        [2, "two"],
      ]);
      expect(await sql`select 'raw' as text`.raw()).toEqual([[Buffer.from("raw")]]);
      expect(await sql`select 1 as one`.simple()).toEqual([{ one: 1 }]);
      expect((await sql`select id, body from notes`.describe()).columns.map(({ name }) => name)).toEqual([
        "id",
        "body",
      ]);
      const bodies: string[] = [];
      await sql<{ body: string }[]>`select body from notes order by id`.forEach(({ body }) => {
        bodies.push(body);
      });
      expect(bodies).toEqual(["changed", "two"]);
      expect((await sql`insert into notes (id) values (9)`).count).toBe(1);
      await sql.notify("nobody", "listens");
    });
  });

  it("gives int8 as text", async () => {
    const [row] = await lab.open().transaction((tx) => tx.sql`select 9007199254740993 as big, array[1::int8] as list`);

    expect(row).toEqual({ big: "9007199254740993", list: ["1"] });
  });

  it("reads through a cursor while other statements run", async () => {
    const sizes: number[] = [];
    await lab.open().transaction(async ({ sql }) => {
      for await (const rows of sql`select n from generate_series(1, ${25}::int) n`.cursor(10)) {
        sizes.push(rows.length);
        for (const { n } of rows) await sql`insert into notes (id) values (${n})`;
      }
      await sql`select n from generate_series(1, 3) n`.cursor(async ([row]) => void sizes.push(row.n));
      for await (const rows of sql`insert into notes (id) values (101), (102), (103) returning id`.cursor(2)) {
        sizes.push(rows.length);
      }
      for await (const rows of sql`select 1 where false`.cursor(5)) sizes.push(rows.length);
      for await (const [row] of sql`select n from generate_series(1, 3) n`.values().cursor(1)) {
        sizes.push(row?.[0] as number);
        break;
      }
      expect(await sql`select from pg_cursors where name <> ''`).toHaveLength(0);
    });

    expect(sizes).toEqual([10, 10, 5, 1, 2, 3, 2, 1, 1]);
    expect(await ids()).toHaveLength(28);
  });

  it("reads through several cursors at once, in savepoints too", async () => {
    const pairs: string[] = [];
    await lab.open().transaction(async (tx) => {
      for await (const [outer] of tx.sql`select n from generate_series(1, 2) n`.cursor(1)) {
        await tx.savepoint(async ({ sql }) => {
          for await (const [inner] of sql`select n from generate_series(3, 4) n`.cursor(1)) {
            pairs.push(`${outer?.n}-${inner?.n}`);
          }
        });
      }
    });

    expect(pairs).toEqual(["1-3", "1-4", "2-3", "2-4"]);
  });

  it("names the error of a cursor's statement", async () => {
    const transaction = lab.open().transaction(async ({ sql }) => {
      for await (const _ of sql`select * from nowhere`.cursor(10)) expect.unreachable();
    });

    await expect(transaction).rejects.toMatchObject({ code: "42P01" });
  });

  it("throws what a row's callback throws, without harm to the statements beside it", async () => {
    await lab.open().transaction(async ({ sql }) => {
      const broken = sql`select generate_series(1, 5)`.forEach(() => {
        throw new Error("the callback's own");
      });
      const [failed, others] = await Promise.all([outcomeOf(broken), sql`select 'fine' as answer`]);

      expect(failed).toBe("the callback's own");
      expect(others).toEqual([{ answer: "fine" }]);
    });
  });

  it.each([
    ["cancel", (sql) => sql`select 1`.cancel(), /signal of its transaction/],
    ["readable", (sql) => sql`copy notes to stdout`.readable(), /COPY/],
    ["writable", (sql) => sql`copy notes from stdin`.writable(), /COPY/],
    ["COPY", (sql) => sql`copy notes (id) from stdin`, /COPY/],
  ] as [string, (sql: TransactionSql) => unknown, RegExp][])("refuses %s, and says why", async (_, use, reason) => {
    expectNoCrash();
    const transaction = lab.open().transaction(async ({ sql }) => use(sql));

    await expect(transaction).rejects.toThrow(reason);
    await expect(transaction).rejects.toMatchObject({ code: "PUP_UNSUPPORTED" });
  });
});
