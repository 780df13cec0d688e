import type { ISql, TransactionSql } from "postgres";
import { describe, expectTypeOf, it } from "vitest";
import type { Sessions } from "./create-sessions.ts";

interface Tables {
  notes: { id: number; body: string | null };
}

declare const sessions: Sessions<Tables>;

describe("A transaction", () => {
  it("resolves with what its work resolves with", () => {
    expectTypeOf(sessions.transaction(async () => 1)).resolves.toEqualTypeOf<number>();
    expectTypeOf(sessions.transaction((tx) => tx.savepoint(() => "text"))).resolves.toEqualTypeOf<string>();
  });

  it("has `sql` as postgres.js has it in a transaction", () => {
    void sessions.transaction(async ({ sql }) => {
      expectTypeOf(sql).toEqualTypeOf<TransactionSql>();
      expectTypeOf(await sql<{ id: number }[]>`select id from notes`).toExtend<{ id: number }[]>();
    });
    expectTypeOf(sessions.sql).toEqualTypeOf<ISql>();
  });

  it("knows the user's tables in `db`", () => {
    void sessions.transaction(async ({ db }) => {
      expectTypeOf(await db.selectFrom("notes").selectAll().execute()).toEqualTypeOf<Tables["notes"][]>();
      // @ts-expect-error there is no such table
      db.selectFrom("nowhere");
      // @ts-expect-error there is no such column
      db.insertInto("notes").values({ id: 1, title: "x" });
    });
  });

  it("can neither be committed nor rolled back by who works in it", () => {
    void sessions.transaction(async (tx) => {
      // @ts-expect-error the end comes with the handler's
      tx.sql.begin;
      // @ts-expect-error the end comes with the handler's
      tx.commit;
    });
  });

  it("asks of what is sent with BEGIN only the backend's number, or nothing", () => {
    void sessions.transaction(() => 1, { onBegin: async () => undefined });
    void sessions.transaction(() => 1, { onBegin: async () => ({ backendPid: 1 }) });
    // @ts-expect-error that is not a number
    void sessions.transaction(() => 1, { onBegin: async () => ({ backendPid: "1" }) });
  });
});
