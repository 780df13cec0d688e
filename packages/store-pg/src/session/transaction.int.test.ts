import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startTcpProxy } from "@pup/testing/postgres";
import type { TransactionSql } from "postgres";
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished, vi } from "vitest";
import {
  backendPid,
  deferred,
  expectNoCrash,
  type LabTables,
  openSessionLab,
  outcomeOf,
  type SessionLab,
} from "../test-support/session-lab.ts";
import type { PgTransaction } from "./transaction-facade.ts";
import { transactionMarker } from "./transaction-marker.ts";

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

describe("A transaction", () => {
  it("commits what was done when its handler resolves, and resolves with the same value", async () => {
    const sessions = lab.open();

    const value = await sessions.transaction(async (tx) => {
      await tx.sql`insert into notes (id) values (1)`;
      await tx.sql`insert into notes (id) values (2)`;
      return "written";
    });

    expect(value).toBe("written");
    expect(await ids()).toEqual([1, 2]);
  });

  it("rolls back when its handler rejects, and rejects with the same error", async () => {
    const sessions = lab.open({ maxTransactions: 1 });
    const error = new Error("the handler's own");
    let pid: number | undefined;

    const transaction = sessions.transaction(async (tx) => {
      await tx.sql`insert into notes (id) values (1)`;
      pid = await backendPid(tx.sql);
      throw error;
    });

    await expect(transaction).rejects.toBe(error);
    expect(await ids()).toEqual([]);
    // The session was not to blame.
    expect(await sessions.transaction((tx) => backendPid(tx.sql))).toBe(pid);
  });

  it("is READ COMMITTED whatever the role's default is", async () => {
    await lab.admin.unsafe("alter role current_user set default_transaction_isolation = 'serializable'");
    onTestFinished(async () => {
      await lab.admin.unsafe("alter role current_user reset default_transaction_isolation");
    });
    const sessions = lab.open();

    const [row] = await sessions.transaction((tx) => tx.sql`show transaction_isolation`);

    expect(row).toEqual({ transaction_isolation: "read committed" });
  });

  it("passes the server's errors through as they are, and fails even when they are caught", async () => {
    const sessions = lab.open();
    let caught: unknown;

    const transaction = sessions.transaction(async (tx) => {
      await tx.sql`insert into notes (id) values (1)`;
      await tx.sql`insert into notes (id) values (1)`.catch((error: unknown) => {
        caught = error;
      });
      return "well done";
    });

    await expect(transaction).rejects.toMatchObject({ name: "PostgresError", code: "23505", table_name: "notes" });
    await expect(transaction).rejects.toBe(caught);
    expect(await ids()).toEqual([]);
  });

  it("names the first failure, not the statement that found the transaction failed", async () => {
    const transaction = lab.open().transaction(async (tx) => {
      await tx.sql`select 1 / 0`.catch(() => undefined);
      await tx.sql`select 1`;
    });

    await expect(transaction).rejects.toMatchObject({ code: "22012" });
  });

  it("fails when a statement fails that nobody awaited", async () => {
    expectNoCrash();
    const transaction = lab.open().transaction(async (tx) => {
      await tx.sql`insert into notes (id) values (1)`;
      tx.sql`select 1 / 0`.execute();
      return "well done";
    });

    await expect(transaction).rejects.toMatchObject({ code: "22012" });
    expect(await ids()).toEqual([]);
  });

  it("commits with it what was executed and not awaited", async () => {
    await lab.open().transaction(async (tx) => {
      for (const id of [1, 2, 3]) tx.sql`insert into notes (id) values (${id})`.execute();
    });

    expect(await ids()).toEqual([1, 2, 3]);
  });

  it("passes on what the server says at COMMIT", async () => {
    await lab.admin`create table if not exists pairs (id int unique deferrable initially deferred)`;
    const sessions = lab.open({ maxTransactions: 1 });

    const transaction = sessions.transaction(async (tx) => {
      await tx.sql`insert into pairs values (1), (1)`;
    });

    await expect(transaction).rejects.toMatchObject({ code: "23505" });
    await expect(sessions.transaction((tx) => tx.sql`select 1 as one`)).resolves.toEqual([{ one: 1 }]);
  });

  it("refuses a statement executed after its end, whenever that was made", async () => {
    const sessions = lab.open({ maxTransactions: 1 });
    const { sql, early, savepoint } = await sessions.transaction(async (tx) => ({
      sql: tx.sql,
      savepoint: tx.savepoint,
      // In an object, because a query that a handler returns is awaited.
      early: { query: tx.sql`insert into notes (id) values (1)` },
    }));

    await sessions.transaction(async () => {
      expect(await outcomeOf(early.query)).toBe("PUP_TRANSACTION_OVER");
      expect(await outcomeOf(sql`insert into notes (id) values (2)`)).toBe("PUP_TRANSACTION_OVER");
      expect(await outcomeOf(savepoint((sp) => sp.sql`insert into notes (id) values (3)`))).toBe(
        "PUP_TRANSACTION_OVER",
      );
    });
    expect(await ids()).toEqual([]);
  });

  it("fails when its handler ends before a savepoint does, which would be committed half done", async () => {
    const halfDone = deferred();
    const transaction = lab.open().transaction(async (tx) => {
      void tx.savepoint(async (sp) => {
        await sp.sql`insert into notes (id) values (1)`;
        halfDone.resolve();
        await sp.sql`select pg_sleep(0.05)`;
        await sp.sql`insert into notes (id) values (2)`;
      });
      await halfDone.promise;
    });

    await expect(transaction).rejects.toMatchObject({ code: "PUP_SAVEPOINT_OPEN" });
    expect(await ids()).toEqual([]);
  });

  it("never gives a statement another one's answer when one of them cannot be put together", async () => {
    expectNoCrash();
    const sessions = lab.open({ maxTransactions: 1 });
    const answers: unknown[] = [];

    const transaction = sessions.transaction(async (tx) => {
      const statements = [
        tx.sql`select pg_sleep(0.05), 'first' as answer`,
        tx.sql`select ${undefined as never}::text as answer`,
        tx.sql`select 'third' as answer`,
        tx.sql`select 'fourth' as answer`,
      ];
      answers.push(...(await Promise.all(statements.map(outcomeOf))));
      return "well done";
    });

    await expect(transaction).rejects.toMatchObject({ code: "UNDEFINED_VALUE" });
    await expect.poll(() => answers).toEqual(Array(4).fill("UNDEFINED_VALUE"));
    await expect(sessions.transaction((tx) => tx.sql`select 1 as one`)).resolves.toEqual([{ one: 1 }]);
  });

  it("keeps its session when a statement alone cannot be put together", async () => {
    const sessions = lab.open({ maxTransactions: 1 });
    const pid = await sessions.transaction((tx) => backendPid(tx.sql));

    const transaction = sessions.transaction(async (tx) => {
      await tx.sql`select 1`;
      await tx.sql`select ${undefined as never}::text`;
    });

    await expect(transaction).rejects.toMatchObject({ code: "UNDEFINED_VALUE" });
    expect(await sessions.transaction((tx) => backendPid(tx.sql))).toBe(pid);
  });
});

describe("The statements sent with BEGIN", () => {
  it("travel with it in one piece", async () => {
    const proxy = await startTcpProxy(lab.url);
    onTestFinished(() => proxy.close());
    const sessions = lab.open({ connection: proxy.url, maxTransactions: 1 });
    await sessions.transaction(async () => undefined);
    const pieces: string[] = [];
    proxy.judge = (data, from) => {
      if (from === "client") pieces.push(String(data));
      return "pass";
    };

    await sessions.transaction(async () => undefined, {
      onBegin: async (tx) => {
        await tx.sql`select 1 as opening`.simple();
        return undefined;
      },
    });

    expect(pieces).toEqual([
      expect.stringMatching(/begin isolation level read committed.*select 1 as opening/s),
      expect.stringContaining("commit"),
    ]);
  });

  it("are answered before the work starts", async () => {
    const order: string[] = [];

    await lab.open().transaction(async () => void order.push("work"), {
      onBegin: async (tx) => {
        await tx.sql`select pg_sleep(0.02)`;
        order.push("opening");
        return undefined;
      },
    });

    expect(order).toEqual(["opening", "work"]);
  });

  it.each([
    ["in time", (sql: TransactionSql) => sql`select 1 / 0`],
    ["and it was caught", (sql: TransactionSql) => sql`select 1 / 0`.catch(() => undefined)],
    ["and it was not awaited", async (sql: TransactionSql) => void sql`select 1 / 0`.execute()],
  ])("keep the work from starting when one fails %s", async (_, open) => {
    const work = vi.fn();
    const transaction = lab.open().transaction(work, {
      onBegin: async ({ sql }) => {
        await open(sql);
        await sql`select 1`.catch(() => undefined);
        return undefined;
      },
    });

    await expect(transaction).rejects.toMatchObject({ code: "22012" });
    expect(work).not.toHaveBeenCalled();
  });

  it("are all that happens when BEGIN fails", async () => {
    const proxy = await startTcpProxy(lab.url);
    onTestFinished(() => proxy.close());
    proxy.judge = (data) => {
      const at = data.indexOf("begin isolation");
      if (at >= 0) data.write("bogus", at);
      return "pass";
    };
    const sessions = lab.open({ connection: proxy.url });
    const work = vi.fn();

    await expect(sessions.transaction(work)).rejects.toMatchObject({ code: "42601" });
    await expect(
      sessions.transaction(work, {
        onBegin: async ({ sql }) => {
          await sql`select 1`;
          return undefined;
        },
      }),
    ).rejects.toMatchObject({ code: "42601" });

    expect(work).not.toHaveBeenCalled();
  });

  it("can refuse the transaction", async () => {
    const work = vi.fn();
    const transaction = lab.open().transaction(work, {
      onBegin: async () => {
        throw new Error("fenced");
      },
    });

    await expect(transaction).rejects.toThrow("fenced");
    expect(work).not.toHaveBeenCalled();
  });
});

describe("The statements sent before COMMIT", () => {
  it("come after all of the work's, awaited or not, and are committed with them", async () => {
    await lab.open().transaction(
      async ({ sql }) => {
        for (const id of [1, 2, 3]) sql`insert into notes (id) values (${id})`.execute();
      },
      {
        beforeCommit: async ({ sql }) => {
          await sql`insert into notes (id) select 10 + count(*) from notes`;
        },
      },
    );

    expect(await ids()).toEqual([1, 2, 3, 13]);
  });

  it("find the handle of the work closed", async () => {
    const late: unknown[] = [];
    const handles: PgTransaction<LabTables>[] = [];

    await lab.open().transaction(
      async (tx) => {
        handles.push(tx);
      },
      {
        beforeCommit: async ({ sql }) => {
          for (const tx of handles) {
            late.push(await outcomeOf(tx.sql`insert into notes (id) values (1)`));
            late.push(await outcomeOf(tx.savepoint((sp) => sp.sql`insert into notes (id) values (2)`)));
          }
          await sql`insert into notes (id) values (3)`;
        },
      },
    );

    expect(late).toEqual(["PUP_TRANSACTION_OVER", "PUP_TRANSACTION_OVER"]);
    expect(await ids()).toEqual([3]);
  });

  it.each([
    ["the work rejects", () => Promise.reject(new Error("the handler's own"))],
    [
      "one of its statements has failed",
      ({ sql }: PgTransaction<LabTables>) => sql`select 1 / 0`.catch(() => undefined),
    ],
  ])("are not sent when %s", async (_, work) => {
    const beforeCommit = vi.fn(async () => undefined);

    await outcomeOf(lab.open().transaction<unknown>(work, { beforeCommit }));

    expect(beforeCommit).not.toHaveBeenCalled();
  });

  it("roll everything back when they fail, and name the failure that made them", async () => {
    expectNoCrash();
    const sessions = lab.open();
    const own = sessions.transaction((tx) => tx.sql`insert into notes (id) values (1)`, {
      beforeCommit: async ({ sql }) => void (await sql`select 1 / 0`),
    });
    await expect(own).rejects.toMatchObject({ code: "22012" });

    const works = sessions.transaction(async ({ sql }) => void sql`insert into notes (id) values (1), (1)`.execute(), {
      beforeCommit: async ({ sql }) => void (await sql`select 1`),
    });
    await expect(works).rejects.toMatchObject({ code: "23505" });
    expect(await ids()).toEqual([]);
  });
});

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

describe("A statement that begins or ends a transaction", () => {
  it.each([
    "begin",
    "BEGIN ISOLATION LEVEL SERIALIZABLE",
    "start transaction",
    "commit",
    "Commit And Chain",
    "end",
    "rollback",
    "rollback to savepoint s1_",
    "abort",
    "savepoint mine",
    "release savepoint s1_",
    "prepare transaction 'forgotten'",
    "  \n\t; commit",
    "-- a remark\ncommit",
    "/* one /* in another */ */ commit;",
    "/* one */ -- two\n /* three */ rollback",
  ])("is refused: %s", async (text) => {
    const sessions = lab.open();
    const refused: unknown[] = [];

    const transaction = sessions.transaction(async ({ sql }) => {
      await sql`insert into notes (id) values (1)`;
      refused.push(await outcomeOf(sql.unsafe(text)), await outcomeOf(sql`${sql.unsafe(text)}`));
      return "well done";
    });

    await expect(transaction).rejects.toMatchObject({ code: "PUP_TRANSACTION_CONTROL" });
    expect(refused).toEqual(["PUP_TRANSACTION_CONTROL", "PUP_TRANSACTION_CONTROL"]);
    expect(await ids()).toEqual([]);
  });

  it("is refused when it is put together from pieces", async () => {
    const transaction = lab.open().transaction(({ sql }) => sql`${sql`com`}${sql`mit`}`);

    await expect(transaction).rejects.toMatchObject({ statement: "COMMIT" });
  });

  it("is refused for PREPARE TRANSACTION through the method of that name", async () => {
    const transaction = lab.open().transaction(({ sql }) => sql.prepare("forgotten"));

    await expect(transaction).rejects.toMatchObject({ code: "PUP_TRANSACTION_CONTROL" });
    expect(await lab.admin`select from pg_prepared_xacts`).toHaveLength(0);
  });

  it("is not confused with others that look alike", async () => {
    await lab.open().transaction(async ({ sql }) => {
      await sql`select 'commit' as "rollback"`;
      await sql`with abort_reasons as (select 1) select * from abort_reasons`;
      await sql`/* commit */ select 1`;
      await sql`prepare transaction_count as select count(*) from notes`;
      await sql`deallocate transaction_count`;
      await sql`do $$ begin perform 1; end $$`;
    });
  });

  it.each([
    "select 1; commit",
    "select 1; commit; begin",
    "select 1; rollback; begin isolation level read committed",
    "select 1; commit and chain",
  ])("is noticed by the marker when it hides behind another: %s", async (text) => {
    await lab.open().transaction(async ({ sql }) => {
      const marker = transactionMarker(sql);
      await sql`select ${marker.set}`;
      const [before] = await sql`select ${marker.intact} as intact`;
      await sql.unsafe(text);
      const [after] = await sql`select ${marker.intact} as intact`;

      expect([before, after]).toEqual([{ intact: true }, { intact: false }]);
    });
  });

  it("leaves the marker of another transaction unknown", async () => {
    const sessions = lab.open({ maxTransactions: 1 });
    await sessions.transaction(async ({ sql }) => sql`select ${transactionMarker(sql).set}`);

    const [row] = await sessions.transaction(async ({ sql }) => sql`select ${transactionMarker(sql).intact} as intact`);

    expect(row).toEqual({ intact: false });
  });

  it("keeps the marker over savepoints", async () => {
    await lab.open().transaction(async (tx) => {
      const marker = transactionMarker(tx.sql);
      await tx.sql`select ${marker.set}`;
      await tx.savepoint((sp) => sp.sql`select 1 / 0`).catch(() => undefined);
      await tx.savepoint((sp) => sp.sql`select 1`);

      expect(await tx.sql`select ${marker.intact} as intact`).toEqual([{ intact: true }]);
    });
  });

  it("cannot end it from within a DO block", async () => {
    const transaction = lab.open().transaction(({ sql }) => sql`do $$ begin commit; end $$`);

    await expect(transaction).rejects.toMatchObject({ code: "2D000" });
  });
});
