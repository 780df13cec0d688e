import { inspect } from "node:util";
import { startTcpProxy } from "@pup/testing/postgres";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { deferred, expectNoCrash, openSessionLab, outcomeOf, type SessionLab } from "../test-support/session-lab.ts";
import { createSessions } from "./create-sessions.ts";

const never = new Promise<never>(() => undefined);

describe("Sessions", () => {
  let lab: SessionLab;
  beforeAll(async () => {
    lab = await openSessionLab();
    await lab.admin`create table notes (id int primary key)`;
  });
  afterAll(() => lab.close());

  it("open nothing before they are used", async () => {
    lab.open();

    expect(await lab.countSessions()).toBe(0);
  });

  it("open no more connections than they may, and keep them", async () => {
    const sessions = lab.open({ maxTransactions: 3, maxStatements: 2 });
    await sessions.openSession();
    const counts: number[] = [];

    await Promise.all([
      ...Array.from({ length: 12 }, () => sessions.transaction((tx) => tx.sql`select pg_sleep(0.01)`)),
      ...Array.from({ length: 12 }, async () => {
        await sessions.sql`select pg_sleep(0.01)`;
        counts.push(await lab.countSessions());
      }),
    ]);

    expect(Math.max(...counts)).toBeLessThanOrEqual(6);
    expect(await lab.countSessions()).toBe(6);
  });

  it.each([
    [{ maxTransactions: 0 }, "maxTransactions"],
    [{ maxStatements: 1.5 }, "maxStatements"],
    [{ statementTimeoutMs: -1 }, "statementTimeoutMs"],
    [{ applicationName: "a".repeat(64) }, "applicationName"],
  ])("refuse options that cannot work: %o", (options, name) => {
    expect(() => createSessions({ connection: "postgres://nowhere", ...options })).toThrow(
      expect.objectContaining({ code: "PUP_INVALID_OPTION", message: expect.stringContaining(name) }),
    );
  });

  describe("when they are closed", () => {
    it("leave nothing behind: no connection, no timer", async () => {
      const resources = () => process.getActiveResourcesInfo().filter((name) => /TCP|Timeout/.test(name)).length;
      await lab.admin`select 1`;
      const before = resources();
      const sessions = lab.open({ maxTransactions: 2 });
      await sessions.openSession();
      await Promise.all([
        sessions.transaction((tx) => tx.sql`select pg_sleep(0.01)`, { timeoutMs: 60_000 }),
        sessions.transaction((tx) => tx.sql`select pg_sleep(0.01)`, { signal: new AbortController().signal }),
        sessions.sql`select 1`,
        outcomeOf(sessions.transaction(() => never, { timeoutMs: 10 })),
      ]);

      await sessions.close();

      expect(await lab.countSessions()).toBe(0);
      expect(resources()).toBeLessThanOrEqual(before);
    });

    it("let what is running finish", async () => {
      const sessions = lab.open();
      const [entered, leave] = [deferred(), deferred()];
      const transaction = sessions.transaction(async (tx) => {
        entered.resolve();
        await leave.promise;
        await tx.sql`insert into notes values (1)`;
      });
      await entered.promise;

      const closing = sessions.close();
      leave.resolve();

      await Promise.all([transaction, closing]);
      expect(await lab.admin`select id from notes`).toEqual([{ id: 1 }]);
    });

    it("end what does not finish in time", async () => {
      expectNoCrash();
      const sessions = lab.open();
      const outcomes = Promise.all([
        outcomeOf(sessions.transaction(() => never)),
        outcomeOf(sessions.transaction((tx) => tx.sql`select pg_sleep(20)`)),
        outcomeOf(sessions.sql`select pg_sleep(20)`),
      ]);
      await expect.poll(() => lab.countSessions()).toBe(3);

      await sessions.close({ timeoutMs: 20 });

      expect(await outcomes).toEqual(["PUP_INVALID_STATE", "PUP_INVALID_STATE", "PUP_INVALID_STATE"]);
      await expect.poll(() => lab.countSessions()).toBe(0);
    });

    it("refuse what waits, and what comes later", async () => {
      const sessions = lab.open({ maxTransactions: 1 });
      const leave = deferred();
      const running = sessions.transaction(() => leave.promise);
      const waiting = outcomeOf(sessions.transaction(() => expect.unreachable()));
      const closing = sessions.close();

      expect(await waiting).toBe("PUP_INVALID_STATE");
      expect(await outcomeOf(sessions.sql`select 1`)).toBe("PUP_INVALID_STATE");
      expect(await outcomeOf(sessions.transaction(() => expect.unreachable()))).toBe("PUP_INVALID_STATE");
      expect(await outcomeOf(sessions.openSession())).toBe("PUP_INVALID_STATE");
      leave.resolve();
      await Promise.all([running, closing, sessions.close()]);
    });

    it("end although the server cannot be reached", async () => {
      expectNoCrash();
      const proxy = await startTcpProxy(lab.url);
      onTestFinished(() => proxy.close());
      const sessions = lab.open({ connection: proxy.url });
      await sessions.sql`select 1`;
      await sessions.openSession();
      proxy.setHalfOpen(true);

      await sessions.close();

      expect(await outcomeOf(sessions.sql`select 1`)).toBe("PUP_INVALID_STATE");
    });
  });

  describe("never tell the password", () => {
    const SECRET = "xyzzy-secret";
    const spoken = (error: unknown) =>
      inspect(error, { depth: Number.POSITIVE_INFINITY, showHidden: true, getters: true });
    const failureOf = (act: () => PromiseLike<unknown>) =>
      new Promise((resolve) => {
        Promise.resolve()
          .then(act)
          .then(() => resolve(undefined), resolve);
      });

    it.each([
      `postgres://user:${SECRET}@host:not-a-port/db`,
      `postgres://user:${SECRET}@[::1/db`,
      `postgres://user:${SECRET}/1@host/db`,
      `postgres://user:%zz${SECRET}@host/db`,
    ])("in the refusal of a connection string: %s", async (connection) => {
      const error = await failureOf(async () => createSessions({ connection }));

      expect(error).toMatchObject({ code: "PUP_INVALID_OPTION" });
      expect(spoken(error)).not.toContain(SECRET);
    });

    it("in any error, whatever happens to a connection", async () => {
      const role = `secretive_${process.pid}`;
      await lab.admin.unsafe(`create role ${role} login password '${SECRET}'`);
      onTestFinished(async () => {
        await lab.admin.unsafe(`drop role ${role}`);
      });
      const url = Object.assign(new URL(lab.url), { username: role, password: SECRET });
      const entries: unknown[] = [];
      const log = (...entry: unknown[]) => void entries.push(entry);
      const logger = { debug: log, info: log, warn: log, error: log };
      const sessions = lab.open({ connection: { url: url.href, debug: true }, logger });
      const unreachable = lab.open({ connection: Object.assign(new URL(url), { port: "1" }).href });
      const mistaken = lab.open({ connection: Object.assign(new URL(url), { password: `wrong-${SECRET}` }).href });
      const control = await sessions.openSession();

      const errors = [
        await failureOf(() => unreachable.sql`select 1`),
        await failureOf(() => mistaken.sql`select 1`),
        await failureOf(() => sessions.sql`select 1 / 0`),
        await failureOf(() => sessions.sql`do $$ begin raise notice 'noticed'; end $$`),
        await failureOf(() => sessions.sql`select ${undefined as never}`),
        await failureOf(() => sessions.transaction((tx) => tx.sql`select 1 / 0`)),
        await failureOf(() => sessions.transaction((tx) => tx.sql`commit`)),
        await failureOf(() => sessions.transaction(() => never, { timeoutMs: 5 })),
        await failureOf(() => sessions.transaction((tx) => tx.sql`select pg_terminate_backend(pg_backend_pid())`)),
        await failureOf(() => sessions.sql`select pg_terminate_backend(pg_backend_pid())`),
        await failureOf(() => control.sql`select pg_terminate_backend(pg_backend_pid())`),
        control.lost.reason,
        await sessions.close(),
        await failureOf(() => sessions.sql`select 1`),
        createSessions,
        sessions,
        control,
        entries,
      ];

      for (const error of errors) expect(spoken(error)).not.toContain(SECRET);
      expect(errors[0]).toMatchObject({ code: "PUP_CONNECTION_FAILED" });
      expect(errors[1]).toMatchObject({ cause: { code: "28P01" } });
      expect(errors[9]).toMatchObject({ code: "PUP_CONNECTION_LOST" });
      expect(entries).not.toEqual([]);
    });

    it("when a handler looks at what it was given", async () => {
      const { password } = new URL(lab.url);
      await lab.open().transaction(async (tx) => {
        await tx.sql`select 1`;
        expect(spoken(tx)).not.toContain(password);
        expect(spoken(tx.sql`select 1`)).not.toContain(password);
      });
    });
  });
});
