import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openSessionLab, type SessionLab } from "../test-support/session-lab.ts";

let lab: SessionLab;
beforeAll(async () => {
  lab = await openSessionLab();
});
afterAll(() => lab.close());

describe("A statement that the backend does not know any more", () => {
  it("fails its transaction with an error that names `prepare: false`", async () => {
    const { transaction } = lab.open({ maxTransactions: 1 });
    const ask = () => transaction(({ sql }) => sql`select ${1}::int as one`);
    await ask();
    // What a pooler does that hands the next transaction to another backend.
    await transaction(({ sql }) => sql.unsafe("deallocate all"));

    await expect(ask()).rejects.toMatchObject({
      code: "PUP_UNSUPPORTED",
      message: expect.stringContaining("`prepare: false`"),
      cause: { code: "26000" },
    });
  });

  it("is found and prepared again outside of a transaction", async () => {
    const { sql } = lab.open({ maxStatements: 1 });
    const ask = () => sql`select ${1}::int as one`;
    await ask();
    await sql.unsafe("deallocate all");

    expect(await ask()).toEqual([{ one: 1 }]);
  });

  it("is the caller's own affair when the caller names it", async () => {
    const { transaction } = lab.open();

    await expect(transaction(({ sql }) => sql.unsafe("execute never_prepared"))).rejects.toMatchObject({
      code: "26000",
    });
  });
});
