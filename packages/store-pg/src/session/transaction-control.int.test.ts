import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { openSessionLab, outcomeOf, type SessionLab } from "../test-support/session-lab.ts";
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
