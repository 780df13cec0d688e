import { startTcpProxy } from "@pup/testing/postgres";
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished } from "vitest";
import {
  backendPid,
  deferred,
  expectNoCrash,
  openSessionLab,
  outcomeOf,
  type SessionLab,
} from "../test-support/session-lab.ts";

const never = new Promise<never>(() => undefined);

describe("A transaction that is revoked", () => {
  let lab: SessionLab;
  beforeAll(async () => {
    lab = await openSessionLab();
    await lab.admin`create table notes (id int primary key)`;
  });
  afterAll(() => lab.close());
  beforeEach(async () => {
    await lab.admin`truncate notes`;
  });

  /** With a connection that is open already: a time-out counts from BEGIN, and connecting takes its time on a busy machine. */
  async function openWarm(connection = lab.url) {
    const sessions = lab.open({ connection, maxTransactions: 1 });
    await sessions.transaction(() => undefined);
    return sessions;
  }

  const ids = async () => (await lab.admin<{ id: number }[]>`select id from notes order by id`).map(({ id }) => id);
  const isAlive = async (pid: number) => (await lab.admin`select from pg_stat_activity where pid = ${pid}`).length > 0;

  it("by its time-out while idle is rolled back, and its session goes on", async () => {
    expectNoCrash();
    const sessions = await openWarm();
    let pid = 0;

    const transaction = sessions.transaction(
      async (tx) => {
        pid = await backendPid(tx.sql);
        await tx.sql`insert into notes values (1)`;
        await never;
      },
      { timeoutMs: 200 },
    );

    await expect(transaction).rejects.toMatchObject({ code: "PUP_TRANSACTION_TIMEOUT", timeoutMs: 200 });
    // Nobody holds the key any more: this does not wait.
    await lab.admin`insert into notes values (1)`;
    expect(await sessions.transaction((tx) => backendPid(tx.sql))).toBe(pid);
  });

  it("by its time-out while a statement runs has its backend ended when it rejects", async () => {
    expectNoCrash();
    const sessions = await openWarm();
    let pid = 0;
    const seen: unknown[] = [];

    const transaction = sessions.transaction(
      async (tx) => {
        pid = await backendPid(tx.sql);
        await tx.sql`insert into notes values (1)`;
        seen.push(await outcomeOf(tx.sql`select pg_sleep(20)`));
        seen.push(await outcomeOf(tx.sql`insert into notes values (2)`));
        return "well done";
      },
      { timeoutMs: 200 },
    );

    await expect(transaction).rejects.toMatchObject({ code: "PUP_TRANSACTION_TIMEOUT" });
    await lab.gone(pid);
    await lab.admin`insert into notes values (1)`;
    await expect.poll(() => seen).toEqual(["PUP_TRANSACTION_TIMEOUT", "PUP_TRANSACTION_OVER"]);
    expect(await ids()).toEqual([1]);
    await expect(sessions.transaction((tx) => tx.sql`select 1 as one`)).resolves.toEqual([{ one: 1 }]);
  });

  it("holds no lock any more when it rejects", async () => {
    const sessions = await openWarm();
    await lab.admin`insert into notes values (1)`;

    const transaction = sessions.transaction(
      async (tx) => {
        await tx.sql`select from notes where id = 1 for update`;
        await tx.sql`select pg_sleep(20)`;
      },
      { timeoutMs: 200 },
    );
    await outcomeOf(transaction);

    expect(await lab.admin`select id from notes where id = 1 for update nowait`).toHaveLength(1);
  });

  it("closes its handle at once", async () => {
    const giveUp = new AbortController();
    const revoked = deferred();
    const seen: unknown[] = [];

    const transaction = lab.open().transaction(
      async (tx) => {
        await tx.sql`insert into notes values (1)`;
        giveUp.abort(new Error("no longer wanted"));
        const late = tx.sql`insert into notes values (2)`;
        seen.push(
          await late.catch((error: { code: string; cause: { code: string } }) => [error.code, error.cause.code]),
        );
        revoked.resolve();
      },
      { signal: giveUp.signal },
    );

    await expect(transaction).rejects.toMatchObject({
      code: "PUP_TRANSACTION_ABORTED",
      cause: { message: "no longer wanted" },
    });
    await revoked.promise;
    expect(seen).toEqual([["PUP_TRANSACTION_OVER", "PUP_TRANSACTION_ABORTED"]]);
    expect(await ids()).toEqual([]);
  });

  it("by its signal while a statement runs has its backend ended when it rejects", async () => {
    const giveUp = new AbortController();
    const pid = deferred<number>();

    const transaction = lab.open().transaction(
      async (tx) => {
        pid.resolve(await backendPid(tx.sql));
        await tx.sql`select pg_sleep(20)`;
      },
      { signal: giveUp.signal },
    );
    const victim = await pid.promise;
    await expect
      .poll(async () => (await lab.admin`select wait_event from pg_stat_activity where pid = ${victim}`)[0]?.wait_event)
      .toBe("PgSleep");
    giveUp.abort();

    await expect(transaction).rejects.toMatchObject({ code: "PUP_TRANSACTION_ABORTED" });
    await lab.gone(victim);
  });

  it("does not even begin when its signal has aborted already", async () => {
    const sessions = lab.open();
    const transaction = sessions.transaction(() => expect.unreachable(), { signal: AbortSignal.abort("too late") });

    await expect(transaction).rejects.toMatchObject({ code: "PUP_TRANSACTION_ABORTED", cause: "too late" });
    // Those of the test before may take a moment to go. One of this would stay, in the pool.
    await expect.poll(() => lab.countSessions()).toBe(0);
  });

  it("gives up its place in the queue", async () => {
    const sessions = lab.open({ maxTransactions: 1 });
    const [entered, leave] = [deferred(), deferred()];
    const giveUp = new AbortController();
    const order: string[] = [];
    const first = sessions.transaction(async () => {
      entered.resolve();
      await leave.promise;
      order.push("first");
    });
    await entered.promise;
    const second = sessions.transaction(() => expect.unreachable(), { signal: giveUp.signal });
    const third = sessions.transaction(async () => void order.push("third"));
    const fourth = sessions.transaction(async () => void order.push("fourth"));

    giveUp.abort();
    await expect(second).rejects.toMatchObject({ code: "PUP_TRANSACTION_ABORTED" });
    leave.resolve();

    await Promise.all([first, third, fourth]);
    expect(order).toEqual(["first", "third", "fourth"]);
  });

  it("while it connects rejects soon", async () => {
    const proxy = await startTcpProxy(lab.url);
    onTestFinished(() => proxy.close());
    proxy.setHalfOpen(true);
    const sessions = lab.open({ connection: proxy.url });

    const transaction = sessions.transaction(() => expect.unreachable(), { timeoutMs: 50 });

    await expect(transaction).rejects.toMatchObject({ code: "PUP_TRANSACTION_TIMEOUT" });
  });

  it("stays dead when its handler goes on in the middle of the next one", async () => {
    expectNoCrash();
    const sessions = lab.open({ maxTransactions: 1 });
    const [nextIsOpen, zombieIsDone] = [deferred(), deferred()];
    const giveUp = new AbortController();

    const zombie = sessions.transaction(
      async (tx) => {
        giveUp.abort();
        await nextIsOpen.promise;
        await outcomeOf(tx.sql`insert into notes values (1)`);
        await outcomeOf(tx.savepoint((sp) => sp.sql`insert into notes values (2)`));
        zombieIsDone.resolve();
        throw new Error("the handler's own");
      },
      { signal: giveUp.signal },
    );
    await expect(zombie).rejects.toMatchObject({ code: "PUP_TRANSACTION_ABORTED" });
    await sessions.transaction(async (tx) => {
      await tx.sql`insert into notes values (10)`;
      nextIsOpen.resolve();
      await zombieIsDone.promise;
      await tx.sql`insert into notes values (11)`;
    });

    expect(await ids()).toEqual([10, 11]);
  });

  it("waits for a statement that nobody awaited before it is rolled back", async () => {
    const sessions = lab.open({ maxTransactions: 1 });
    let pid = 0;

    const transaction = sessions.transaction(async (tx) => {
      pid = await backendPid(tx.sql);
      tx.sql`select pg_sleep(0.05)`.execute();
      tx.sql`insert into notes values (1)`.execute();
      throw new Error("the handler's own");
    });

    await expect(transaction).rejects.toThrow("the handler's own");
    expect(await ids()).toEqual([]);
    expect(await sessions.transaction((tx) => backendPid(tx.sql))).toBe(pid);
  });

  it("has its line cut when the server cannot be reached", async () => {
    const proxy = await startTcpProxy(lab.url);
    onTestFinished(() => proxy.close());
    const sessions = await openWarm(proxy.url);
    let pid = 0;

    const transaction = sessions.transaction(
      async (tx) => {
        pid = await backendPid(tx.sql);
        proxy.setHalfOpen(true);
        await tx.sql`insert into notes values (1)`;
      },
      { timeoutMs: 200 },
    );

    await expect(transaction).rejects.toMatchObject({ code: "PUP_TRANSACTION_TIMEOUT" });
    // The server does not know yet. Without COMMIT nothing of it can last.
    expect(await isAlive(pid)).toBe(true);
    expect(await ids()).toEqual([]);
    proxy.setHalfOpen(false);
    await sessions.transaction((tx) => tx.sql`insert into notes values (2)`);
  });
});
