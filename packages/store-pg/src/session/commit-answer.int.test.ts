import { startTcpProxy, type TcpProxy } from "@pup/testing/postgres";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import {
  backendPid,
  deferred,
  expectNoCrash,
  openSessionLab,
  outcomeOf,
  type SessionLab,
} from "../test-support/session-lab.ts";

describe("A COMMIT", () => {
  let lab: SessionLab;
  let proxy: TcpProxy;
  beforeAll(async () => {
    lab = await openSessionLab();
    await lab.admin`create table notes (id int primary key)`;
    // Takes its time when it is committed.
    await lab.admin.unsafe(`
      create table slow_notes (id int);
      create function wait_at_commit() returns trigger language plpgsql as $$ begin perform pg_sleep(new.id); return null; end $$;
      create constraint trigger wait_at_commit after insert on slow_notes
        deferrable initially deferred for each row execute function wait_at_commit()`);
  });
  afterAll(() => lab.close());
  beforeEach(async () => {
    await lab.admin`truncate notes, slow_notes`;
    proxy = await startTcpProxy(lab.url);
  });
  afterEach(() => proxy.close());

  // With the end of the text, which "read committed" has not.
  const isCommit = (data: Buffer) => data.includes("commit\0");
  const ids = async () => (await lab.admin<{ id: number }[]>`select id from notes`).map(({ id }) => id);

  it("whose answer is lost leaves open what became of it", async () => {
    expectNoCrash();
    const sessions = lab.open({ connection: proxy.url });
    let committing = false;
    proxy.judge = (data, from) => {
      committing ||= from === "client" && isCommit(data);
      return committing && from === "server" ? "reset" : "pass";
    };

    const outcome = await outcomeOf(sessions.transaction((tx) => tx.sql`insert into notes values (1)`));

    expect(outcome).toBe("PUP_COMMIT_UNKNOWN");
    // It was carried out, this time.
    await expect.poll(ids).toEqual([1]);
  });

  it("that is lost on its way leaves open what became of it", async () => {
    expectNoCrash();
    const sessions = lab.open({ connection: proxy.url });
    proxy.judge = (data, from) => (from === "client" && isCommit(data) ? "reset" : "pass");

    const outcome = await outcomeOf(sessions.transaction((tx) => tx.sql`insert into notes values (1)`));

    expect(outcome).toBe("PUP_COMMIT_UNKNOWN");
    expect(await ids()).toEqual([]);
    proxy.judge = () => "pass";
    await sessions.transaction((tx) => tx.sql`insert into notes values (2)`);
    expect(await ids()).toEqual([2]);
  });

  it("during which the backend is killed leaves open what became of it", async () => {
    expectNoCrash();
    const sessions = lab.open();
    const pid = deferred<number>();

    const transaction = sessions.transaction(async (tx) => {
      await tx.sql`insert into slow_notes values (20)`;
      pid.resolve(await backendPid(tx.sql));
    });
    const rejection = expect(transaction).rejects.toMatchObject({
      code: "PUP_COMMIT_UNKNOWN",
      cause: { code: "PUP_CONNECTION_LOST" },
    });
    const victim = await pid.promise;
    await expectToCommit(victim);
    await lab.kill(victim);

    await rejection;
    expect(await lab.admin`select from slow_notes`).toHaveLength(0);
  });

  it("is not taken back by a signal", async () => {
    const giveUp = new AbortController();
    const pid = deferred<number>();

    const transaction = lab.open().transaction(
      async (tx) => {
        await tx.sql`insert into slow_notes values (1)`;
        pid.resolve(await backendPid(tx.sql));
        return "written";
      },
      { signal: giveUp.signal },
    );
    await expectToCommit(await pid.promise);
    giveUp.abort();

    await expect(transaction).resolves.toBe("written");
  });

  it("is waited for only until the time is over", async () => {
    const sessions = lab.open({ connection: proxy.url });
    // It never arrives, and nobody says so.
    proxy.judge = (data, from) => (from === "client" && isCommit(data) ? "swallow" : "pass");

    const transaction = sessions.transaction((tx) => tx.sql`insert into notes values (1)`, { timeoutMs: 200 });

    await expect(transaction).rejects.toMatchObject({ code: "PUP_COMMIT_UNKNOWN" });
    expect(await ids()).toEqual([]);
  });

  it("that certainly was never sent is no open question", async () => {
    expectNoCrash();
    const sessions = lab.open();

    const transaction = sessions.transaction(async (tx) => {
      const pid = await backendPid(tx.sql);
      // COMMIT has to wait behind these, more than postgres.js sends at once.
      tx.sql`select pg_sleep(20)`.execute();
      for (let i = 0; i < 200; i++) tx.sql`select ${i}::int`.execute();
      setTimeout(() => void lab.kill(pid), 20);
    });

    await expect(transaction).rejects.toMatchObject({ code: "PUP_CONNECTION_LOST" });
  });

  async function expectToCommit(pid: number): Promise<void> {
    const running = async () => (await lab.admin`select query from pg_stat_activity where pid = ${pid}`)[0]?.query;
    await expect.poll(running, { interval: 5 }).toBe("commit");
  }
});
