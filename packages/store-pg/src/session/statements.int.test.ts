import { startTcpProxy } from "@pup/testing/postgres";
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished } from "vitest";
import { backendPid, expectNoCrash, openSessionLab, outcomeOf, type SessionLab } from "../test-support/session-lab.ts";

describe("A single statement", () => {
  let lab: SessionLab;
  beforeAll(async () => {
    lab = await openSessionLab();
    await lab.admin`create table notes (id int primary key)`;
  });
  afterAll(() => lab.close());
  beforeEach(async () => {
    await lab.admin`truncate notes`;
  });

  const ids = async () => (await lab.admin<{ id: number }[]>`select id from notes order by id`).map(({ id }) => id);

  it("is a transaction of its own", async () => {
    const { sql } = lab.open();

    await sql`insert into notes values (1)`;
    await expect(sql`insert into notes values (2), (1)`).rejects.toMatchObject({ code: "23505" });

    expect(await ids()).toEqual([1]);
  });

  it("waits for its turn when all connections are in use", async () => {
    const { sql } = lab.open({ maxStatements: 2 });

    const pids = await Promise.all(
      Array.from({ length: 20 }, async () => {
        const [row] = await sql<{ pid: number }[]>`select pg_backend_pid() as pid, pg_sleep(0.002)`;
        return row?.pid;
      }),
    );

    expect(new Set(pids).size).toBe(2);
    expect(await lab.countSessions()).toBe(2);
  });

  it("never shares a connection with a transaction", async () => {
    const sessions = lab.open({ maxTransactions: 1, maxStatements: 1 });

    await sessions.transaction(async (tx) => {
      expect(await backendPid(sessions.sql)).not.toBe(await backendPid(tx.sql));
    });
  });

  it("rejects when its backend is killed, and the next one has a new connection", async () => {
    expectNoCrash();
    const { sql } = lab.open({ maxStatements: 1 });
    const pid = await backendPid(sql);

    const lost = outcomeOf(sql`select pg_sleep(20)`);
    await expect
      .poll(async () => (await lab.admin`select wait_event from pg_stat_activity where pid = ${pid}`)[0]?.wait_event)
      .toBe("PgSleep");
    await lab.kill(pid);

    expect(await lost).toBe("PUP_CONNECTION_LOST");
    expect(await backendPid(sql)).not.toBe(pid);
  });

  it("does not meet the connection that was lost while nobody used it", async () => {
    expectNoCrash();
    const proxy = await startTcpProxy(lab.url);
    onTestFinished(() => proxy.close());
    const { sql } = lab.open({ connection: proxy.url, maxStatements: 1 });
    await sql`select 1`;
    expect(proxy.connections).toBe(1);
    proxy.reset();
    await expect.poll(() => proxy.connections).toBe(0);

    // The news may still be on its way, as on any network.
    await expect.poll(() => outcomeOf(sql`select 1 as one`)).toEqual({ value: [{ one: 1 }] });
  });

  it("is not carried out twice when its answer is lost", async () => {
    expectNoCrash();
    await lab.admin`create table if not exists counted (id int generated always as identity)`;
    const proxy = await startTcpProxy(lab.url);
    onTestFinished(() => proxy.close());
    const { sql } = lab.open({ connection: proxy.url, maxStatements: 1 });
    await sql`select 1`;
    proxy.judge = (_, from) => (from === "server" ? "reset" : "pass");

    expect(await outcomeOf(sql`insert into counted default values`)).toBe("PUP_CONNECTION_LOST");

    proxy.judge = () => "pass";
    expect(await sql`select count(*)::int from counted`).toEqual([{ count: 1 }]);
  });

  it("that cannot be put together harms no other", async () => {
    expectNoCrash();
    const { sql } = lab.open({ maxStatements: 1 });

    const outcomes = await Promise.all([
      outcomeOf(sql`select 'first' as answer`),
      outcomeOf(sql`select ${undefined as never}::text as answer`),
      outcomeOf(sql`select 'third' as answer`),
    ]);

    expect(outcomes).toEqual([{ value: [{ answer: "first" }] }, "UNDEFINED_VALUE", { value: [{ answer: "third" }] }]);
  });

  it("has its backend ended when it takes too long", async () => {
    expectNoCrash();
    const { sql } = lab.open({ maxStatements: 1, statementTimeoutMs: 500 });
    const pid = await backendPid(sql);

    await expect(sql`select pg_sleep(20)`).rejects.toMatchObject({ code: "PUP_STATEMENT_TIMEOUT" });

    await lab.gone(pid);
    expect(await sql`select 1 as one`).toEqual([{ one: 1 }]);
  });

  it("may follow a pause that is longer than its time-out", async () => {
    const { sql } = lab.open({ maxStatements: 1, statementTimeoutMs: 400 });
    const pid = await backendPid(sql);
    await lab.admin`select pg_sleep(0.6)`;

    expect(await backendPid(sql)).toBe(pid);
    expect(await outcomeOf(sql`select pg_sleep(20)`)).toBe("PUP_STATEMENT_TIMEOUT");
  });

  it("survives that the table it was prepared for has changed", async () => {
    await lab.admin`create table if not exists changing (id int)`;
    const { sql } = lab.open({ maxStatements: 1 });
    const read = () => sql`select * from changing`;
    await sql`insert into changing values (1)`;
    expect(await read()).toEqual([{ id: 1 }]);

    await lab.admin`alter table changing add column body text`;

    expect(await read()).toEqual([{ id: 1, body: null }]);
  });

  it("has a fresh connection when the old one has served its time", async () => {
    const { sql } = lab.open({ maxStatements: 1, maxLifetimeMs: 50 });
    const pid = await backendPid(sql);
    await lab.admin`select pg_sleep(0.06)`;

    expect(await backendPid(sql)).not.toBe(pid);
    await lab.gone(pid);
  });

  it.each(["begin", "commit", "rollback", "savepoint mine"])("cannot be %s", async (text) => {
    const { sql } = lab.open();

    expect(await outcomeOf(sql.unsafe(text))).toBe("PUP_TRANSACTION_CONTROL");
  });

  it("has no cursor, since that needs a transaction", () => {
    const { sql } = lab.open();

    expect(() => sql`select 1`.cursor(10)).toThrow(expect.objectContaining({ code: "PUP_UNSUPPORTED" }));
  });

  it("is prepared, unless that is switched off here or in the connection's options", async () => {
    const prepared = async (options: Parameters<SessionLab["open"]>[0]) => {
      const { sql } = lab.open({ maxStatements: 1, ...options });
      await sql`select 1 as prepared`;
      const [row] =
        await sql`select count(*)::int from pg_prepared_statements where statement like '%as prepared%'`.simple();
      return row?.count;
    };

    expect(await prepared({})).toBe(1);
    expect(await prepared({ prepare: false })).toBe(0);
    expect(await prepared({ connection: { url: lab.url, prepare: false } })).toBe(0);
  });
});
