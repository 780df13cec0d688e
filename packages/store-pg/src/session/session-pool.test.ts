import { describe, expect, it, vi } from "vitest";
import type { Session } from "./session.ts";
import { createSessionPool } from "./session-pool.ts";

interface FakeSession extends Session {
  loss: Error | undefined;
}

/** A pool of sessions that are numbers only; lost and aged by hand. */
function poolOf(max: number, maxLifetimeMs = 60_000) {
  const opened: FakeSession[] = [];
  const closed: number[] = [];
  const pool = createSessionPool({
    max,
    maxLifetimeMs,
    open() {
      const pid = opened.length + 1;
      const session = {
        pid,
        loss: undefined,
        createdAt: performance.now(),
        close: async () => void closed.push(pid),
      } as unknown as FakeSession;
      opened.push(session);
      return session;
    },
  });
  return { pool, opened, closed };
}

const evictNobody = async () => undefined;

describe("A session pool", () => {
  it("opens sessions only when none is free", async () => {
    const { pool, opened } = poolOf(3);

    const first = await pool.wait();
    const second = await pool.wait();
    pool.release(first);
    expect(await pool.wait()).toBe(first);
    pool.release(second);

    expect(pool.take()).toBe(second);
    expect(opened).toHaveLength(2);
  });

  it("lends first to whom came first, and to nobody past them", async () => {
    const { pool } = poolOf(1);
    const order: string[] = [];
    const first = await pool.wait();
    const waiting = ["second", "third"].map((name) =>
      pool.wait().then((session) => {
        order.push(name);
        expect(pool.take()).toBeUndefined();
        pool.release(session);
      }),
    );
    pool.release(first);
    expect(pool.take()).toBeUndefined();

    await Promise.all(waiting);
    expect(order).toEqual(["second", "third"]);
    expect(pool.take()).toBe(first);
  });

  it("opens another one in place of one that was lost, in use or not", async () => {
    const { pool, opened } = poolOf(1);
    const first = await pool.wait();
    const waiting = pool.wait();
    (first as FakeSession).loss = new Error("lost in use");
    pool.release(first);

    const second = await waiting;
    expect(second).not.toBe(first);
    pool.release(second);
    (second as FakeSession).loss = new Error("lost while idle");

    expect(await pool.wait()).toBe(opened[2]);
  });

  it("tells everyone who waits when no other one can be opened", async () => {
    const error = new Error("the factory's own");
    const open = vi
      .fn<() => Session>()
      .mockReturnValueOnce({ loss: new Error("lost") } as Session)
      .mockThrow(error);
    const pool = createSessionPool({ max: 1, open, maxLifetimeMs: 60_000 });
    const first = await pool.wait();
    const waiting = [pool.wait(), pool.wait()];

    pool.release(first);

    for (const turn of await Promise.allSettled(waiting)) expect(turn).toEqual({ status: "rejected", reason: error });
    await expect(pool.wait()).rejects.toBe(error);
  });

  it("closes those that have served their time", async () => {
    const { pool, closed } = poolOf(1, 0);

    pool.release(await pool.wait());

    expect(closed).toEqual([1]);
    expect((await pool.wait()).pid).toBe(2);
  });

  it("forgets who gave up waiting", async () => {
    const { pool } = poolOf(1);
    const first = await pool.wait();
    const giveUp = new AbortController();
    const impatient = pool.wait(giveUp.signal);
    const patient = pool.wait();

    giveUp.abort(new Error("no longer wanted"));
    await expect(impatient).rejects.toThrow("no longer wanted");
    pool.release(first);

    expect(await patient).toBe(first);
    await expect(pool.wait(giveUp.signal)).rejects.toThrow("no longer wanted");
  });

  it("leaves nothing on the signals of those it has served", async () => {
    const { pool } = poolOf(1);
    const { signal } = new AbortController();
    const [add, remove] = [vi.spyOn(signal, "addEventListener"), vi.spyOn(signal, "removeEventListener")];
    const first = await pool.wait(signal);
    const waiting = pool.wait(signal);
    pool.release(first);
    await waiting;

    expect(add).toHaveBeenCalledTimes(1);
    expect(remove).toHaveBeenCalledTimes(1);
  });

  it("waits for its users when it is closed, and refuses others", async () => {
    const { pool, closed } = poolOf(2);
    const [first, second] = [await pool.wait(), await pool.wait()];
    const waiting = pool.wait();
    pool.release(second);
    pool.release(await waiting);
    const late = poolOf(1);
    const lent = await late.pool.wait();
    const refused = late.pool.wait();
    const done = vi.fn();

    const closing = late.pool.close(60_000, evictNobody).then(done);
    await expect(refused).rejects.toMatchObject({ code: "PUP_INVALID_STATE" });
    await expect(late.pool.wait()).rejects.toMatchObject({ code: "PUP_INVALID_STATE" });
    expect(late.pool.take()).toBeUndefined();
    expect(done).not.toHaveBeenCalled();
    late.pool.release(lent);
    await closing;
    expect(late.closed).toEqual([1]);

    pool.release(first);
    await pool.close(0, evictNobody);
    expect(closed.sort()).toEqual([1, 2]);
  });

  it("has the sessions ended of those who do not finish", async () => {
    const { pool } = poolOf(1);
    const lent = await pool.wait();

    await pool.close(1, async (session, reason) => {
      (session as FakeSession).loss = reason;
      pool.release(session);
    });

    expect(lent.loss).toMatchObject({ code: "PUP_INVALID_STATE" });
  });
});
