import { startTcpProxy } from "@pup/testing/postgres";
import type { TransactionSql } from "postgres";
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished, vi } from "vitest";
import {
  expectNoCrash,
  type LabTables,
  openSessionLab,
  outcomeOf,
  type SessionLab,
} from "../test-support/session-lab.ts";
import type { PgTransaction } from "./transaction-facade.ts";

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
