import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished } from "vitest";
import {
  backendPid,
  deferred,
  expectNoCrash,
  openSessionLab,
  outcomeOf,
  type SessionLab,
} from "../test-support/session-lab.ts";

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
