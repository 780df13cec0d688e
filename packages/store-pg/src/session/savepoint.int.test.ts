import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import {
  expectNoCrash,
  type LabTables,
  openSessionLab,
  outcomeOf,
  type SessionLab,
} from "../test-support/session-lab.ts";
import type { PgTransaction } from "./transaction-facade.ts";

describe("A savepoint", () => {
  let lab: SessionLab;
  beforeAll(async () => {
    lab = await openSessionLab();
    await lab.admin`create table notes (id int primary key)`;
  });
  afterAll(() => lab.close());
  beforeEach(async () => {
    await lab.admin`truncate notes`;
  });

  const add = (tx: PgTransaction<LabTables>, id: number) => tx.sql`insert into notes values (${id})`;
  const ids = async () => (await lab.admin<{ id: number }[]>`select id from notes order by id`).map(({ id }) => id);

  it("undoes its part when it rejects, and lets the transaction go on", async () => {
    await lab.open().transaction(async (tx) => {
      await add(tx, 1);
      const inner = tx.savepoint(async (sp) => {
        await add(sp, 2);
        throw new Error("the callback's own");
      });
      await expect(inner).rejects.toThrow("the callback's own");
      await add(tx, 3);
    });

    expect(await ids()).toEqual([1, 3]);
  });

  it("undoes its part when a query in it failed, caught or not", async () => {
    await lab.open().transaction(async (tx) => {
      await add(tx, 1);
      const inner = tx.savepoint(async (sp) => {
        await add(sp, 2);
        await add(sp, 1).catch(() => undefined);
        return "well done";
      });
      await expect(inner).rejects.toMatchObject({ code: "23505" });
    });

    expect(await ids()).toEqual([1]);
  });

  it("undoes its part when a query in it failed that nobody awaited", async () => {
    expectNoCrash();
    await lab.open().transaction(async (tx) => {
      const inner = tx.savepoint(async (sp) => {
        add(sp, 2).execute();
        add(sp, 2).execute();
      });
      await expect(inner).rejects.toMatchObject({ code: "23505" });
      await add(tx, 3);
    });

    expect(await ids()).toEqual([3]);
  });

  it("can hold others", async () => {
    await lab.open().transaction(async (tx) => {
      await tx.savepoint(async (outer) => {
        await add(outer, 1);
        await outer
          .savepoint(async (inner) => {
            await add(inner, 2);
            throw new Error("inner");
          })
          .catch(() => undefined);
        await outer.savepoint((inner) => add(inner, 3));
      });
    });

    expect(await ids()).toEqual([1, 3]);
  });

  it("gives back what it holds on the server, however it ends", async () => {
    await lab.open().transaction(async ({ sql, savepoint }) => {
      for (let i = 0; i < 3; i++) await savepoint((sp) => sp.sql`select 1`);
      await savepoint((sp) => sp.sql`select 1 / 0`).catch(() => undefined);
      // A name that is still there would be found.
      const again = await outcomeOf(savepoint((sp) => sp.sql.unsafe("select 1; rollback to savepoint s1_")));
      expect(again).toBe("3B001");
      await sql`select 1`;
    });
  });

  it("is there in postgres.js' way too, with a name and with a list of queries", async () => {
    await lab.open().transaction(async ({ sql }) => {
      const [one, two] = await sql.savepoint("two notes; --", (sp) => [
        sp`insert into notes values (1) returning id`,
        sp`insert into notes values (2) returning id`,
      ]);
      expect([...one, ...two]).toEqual([{ id: 1 }, { id: 2 }]);
      await sql.savepoint((sp) => sp`insert into notes values (3)`);
    });

    expect(await ids()).toEqual([1, 2, 3]);
  });

  it("refuses its handle when it is over, whenever the query was made", async () => {
    await lab.open().transaction(async (tx) => {
      const kept = await tx.savepoint(async (sp) => ({ sp, early: { query: add(sp, 1) } }));

      expect(await outcomeOf(kept.early.query)).toBe("PUP_TRANSACTION_OVER");
      expect(await outcomeOf(add(kept.sp, 2))).toBe("PUP_TRANSACTION_OVER");
      expect(await outcomeOf(kept.sp.db.selectFrom("notes").selectAll().execute())).toBe("PUP_TRANSACTION_OVER");
      expect(await outcomeOf(kept.sp.savepoint((inner) => add(inner, 3)))).toBe("PUP_TRANSACTION_OVER");
    });

    expect(await ids()).toEqual([]);
  });

  it("refuses the handle around it while it is open, since that would be undone with it", async () => {
    const transaction = lab.open().transaction(async (tx) => {
      await tx.savepoint(async () => {
        expect(await outcomeOf(add(tx, 1))).toBe("PUP_SAVEPOINT_OPEN");
      });
    });

    await expect(transaction).rejects.toMatchObject({ code: "PUP_SAVEPOINT_OPEN" });
    expect(await ids()).toEqual([]);
  });

  it("refuses another one beside it", async () => {
    const transaction = lab
      .open()
      .transaction((tx) => Promise.all([1, 2].map((id) => tx.savepoint((sp) => add(sp, id)))));

    await expect(transaction).rejects.toMatchObject({ code: "PUP_SAVEPOINT_OPEN" });
    expect(await ids()).toEqual([]);
  });

  it("isolates failures of queries made with Kysely", async () => {
    await lab.open().transaction(async (tx) => {
      const inner = tx.savepoint((sp) =>
        sp.db
          .selectFrom("nowhere" as never)
          .selectAll()
          .execute(),
      );
      await expect(inner).rejects.toMatchObject({ code: "42P01" });
      await add(tx, 1);
    });

    expect(await ids()).toEqual([1]);
  });
});
