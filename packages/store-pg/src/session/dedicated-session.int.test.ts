import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { backendPid, expectNoCrash, openSessionLab, outcomeOf, type SessionLab } from "../test-support/session-lab.ts";

describe("A dedicated session", () => {
  let lab: SessionLab;
  beforeAll(async () => {
    lab = await openSessionLab();
  });
  afterAll(() => lab.close());

  it("is one backend, whose number it knows", async () => {
    const session = await lab.open().openSession();

    const pids = await Promise.all(Array.from({ length: 5 }, () => backendPid(session.sql)));

    expect(new Set([session.pid, ...pids]).size).toBe(1);
    expect(await session.transaction((tx) => backendPid(tx.sql))).toBe(session.pid);
  });

  it("is told at once when it is lost, and never becomes another one", async () => {
    expectNoCrash();
    const session = await lab.open().openSession();
    await session.sql`select pg_advisory_lock(7, 7)`;

    await lab.kill(session.pid);

    await expect.poll(() => session.lost.aborted).toBe(true);
    expect(session.lost.reason).toMatchObject({ code: "PUP_CONNECTION_LOST" });
    for (let i = 0; i < 3; i++) expect(await outcomeOf(session.sql`select 1`)).toBe("PUP_CONNECTION_LOST");
    expect(await outcomeOf(session.transaction((tx) => tx.sql`select 1`))).toBe("PUP_CONNECTION_LOST");
    expect(await lab.countSessions()).toBe(0);
  });

  it("rejects what waits for its turn when it is lost", async () => {
    expectNoCrash();
    const session = await lab.open().openSession();

    const outcomes = [outcomeOf(session.sql`select pg_sleep(20)`), outcomeOf(session.sql`select 1`)];
    await lab.kill(session.pid);

    expect(await Promise.all(outcomes)).toEqual(["PUP_CONNECTION_LOST", "PUP_CONNECTION_LOST"]);
  });

  it("is not held up by pools that are full", async () => {
    const sessions = lab.open({ maxTransactions: 1, maxStatements: 1 });
    const session = await sessions.openSession();
    const busy = [
      outcomeOf(sessions.sql`select pg_sleep(0.3)`),
      outcomeOf(sessions.transaction((tx) => tx.sql`select pg_sleep(0.3)`)),
    ];
    const startedAt = performance.now();

    await session.sql`select 1`;

    expect(performance.now() - startedAt).toBeLessThan(200);
    await Promise.all(busy);
  });

  it("keeps statements out of a transaction that runs on it", async () => {
    const session = await lab.open().openSession();
    const order: string[] = [];

    await Promise.all([
      session.transaction(async (tx) => {
        await tx.sql`select pg_sleep(0.02)`;
        order.push("transaction");
      }),
      session.sql`select 1`.then(() => order.push("statement")),
    ]);

    expect(order).toEqual(["transaction", "statement"]);
  });

  it("ends when it is closed, with what the server kept for it", async () => {
    const sessions = lab.open();
    const session = await sessions.openSession();
    await session.sql`select pg_advisory_lock(8, 8)`;

    await Promise.all([session.close(), session.close()]);

    await lab.gone(session.pid);
    expect(session.lost.aborted).toBe(true);
    expect(await outcomeOf(session.sql`select 1`)).toBe("PUP_INVALID_STATE");
    expect(await lab.admin`select pg_try_advisory_lock(8, 8) as free, pg_advisory_unlock(8, 8)`).toMatchObject([
      { free: true },
    ]);
  });

  it("has its own time limit for statements", async () => {
    const session = await lab.open().openSession({ statementTimeoutMs: 500 });

    expect(await outcomeOf(session.sql`select pg_sleep(20)`)).toBe("PUP_STATEMENT_TIMEOUT");
    // On a slow machine the limit can hit the opening's own statement: then the session is given up, and its end on its way.
    await expect.poll(() => session.lost.aborted).toBe(true);
  });

  it("is not opened when its signal has aborted", async () => {
    const opening = lab.open().openSession({ signal: AbortSignal.abort(new Error("no longer wanted")) });

    await expect(opening).rejects.toThrow("no longer wanted");
    expect(await lab.countSessions()).toBe(0);
  });
});
