import type { AcquireRequest, ControlSession, Leadership, WorkerStatus } from "@pup/core";
import { describe, expect, it } from "vitest";
import { openForEach } from "./open-for-each.ts";
import { range } from "./sample-events.ts";
import type { StoreSetup } from "./store-setup.ts";
import { assignTo, workerA, workerB, workerC } from "./workers.ts";

const LONG_MS = 60_000;

/**
 * What every `Coordination` promises. Call it inside of a `describe`.
 *
 * @param open - gives each test a store without workers and checkpoints
 */
export function coordinationContract<Tx>(open: () => Promise<StoreSetup<Tx>>): void {
  const setup = openForEach(open);
  const openSession = () => setup().store.openControlSession();

  const register = async (session: ControlSession, ...workerIds: string[]) => {
    for (const workerId of workerIds) await session.register({ workerId, consumers: ["orders", "invoices"] });
  };
  const sync = (session: ControlSession, workerId: string, { beat = true, heartbeatTimeoutMs = LONG_MS } = {}) =>
    session.sync({ workerId, beat, heartbeatTimeoutMs });
  const observed = async (session: ControlSession, workerId: string) =>
    (await session.observeWorkers()).find((worker) => worker.workerId === workerId);

  const lead = async (session: ControlSession): Promise<Leadership> => {
    const leadership = await session.election.tick();
    if (!leadership) throw new Error("Expected the session to lead.");
    return leadership;
  };

  describe("workers", () => {
    it("are unknown until they register", async () => {
      const session = await openSession();

      expect(await sync(session, workerA)).toBeNull();
      expect(await session.observeWorkers()).toEqual([]);
    });

    it("are seen by all once they have registered", async () => {
      const session = await openSession();
      const other = await setup().other.openControlSession();
      await register(session, workerA);
      await register(other, workerB);

      for (const each of [session, other]) {
        const workers = await each.observeWorkers();
        expect(workers.map(({ workerId }) => workerId).sort()).toEqual([workerA, workerB]);
      }
    });

    it("see the same of each other when they report, when they look and when they deal", async () => {
      const session = await openSession();
      await register(session, workerA, workerB);
      const known = async (workers: Promise<readonly WorkerStatus[] | undefined>) =>
        (await workers)
          ?.map(({ workerId, livenessLockHeld }) => ({ workerId, livenessLockHeld }))
          .sort((a, b) => (a.workerId < b.workerId ? -1 : 1));
      const observed = await known(session.observeWorkers());

      expect(observed?.map(({ workerId }) => workerId)).toEqual([workerA, workerB]);
      expect(await known(sync(session, workerA).then((view) => view?.workers))).toEqual(observed);
      expect(await known(session.survey().then(({ statuses }) => statuses))).toEqual(observed);
      expect((await sync(session, workerA, { beat: false }))?.workers).toBeUndefined();
    });

    it("have nothing to run at first", async () => {
      const session = await openSession();
      await register(session, workerA);

      expect(await sync(session, workerA)).toMatchObject({ assigned: [], liveWorkers: 1, deadLettersDue: [] });
    });

    it("may register twice, and then count with what they said last", async () => {
      const session = await openSession();
      await session.register({ workerId: workerA, consumers: ["orders"] });
      await session.register({ workerId: workerA, consumers: ["invoices"] });

      expect((await session.survey()).workers).toEqual([{ workerId: workerA, consumers: ["invoices"] }]);
    });

    it("grow older by the silence between heartbeats", async () => {
      const session = await openSession();
      await register(session, workerA);
      await setup().elapse(40);
      await sync(session, workerA, { beat: false });
      const silent = await observed(session, workerA);
      await sync(session, workerA, { beat: true });
      const heard = await observed(session, workerA);

      expect(silent?.heartbeatAgeMs).toBeGreaterThanOrEqual(40);
      expect(heard?.heartbeatAgeMs).toBeLessThan(silent?.heartbeatAgeMs ?? 0);
    });

    it("count each other as live until they are silent for too long", async () => {
      const session = await openSession();
      await register(session, workerA, workerB, workerC);
      expect((await sync(session, workerA))?.liveWorkers).toBe(3);

      await setup().elapse(100);
      await sync(session, workerA);
      await sync(session, workerB);

      expect((await sync(session, workerA, { heartbeatTimeoutMs: 90 }))?.liveWorkers).toBe(2);
      expect((await sync(session, workerA))?.liveWorkers).toBe(3);
    });

    it("are unknown again when they have signed off, and may come back", async () => {
      const session = await openSession();
      await register(session, workerA, workerB);
      await assignTo(session, { orders: workerA, invoices: workerB });

      await session.deregister(workerA);

      expect(await sync(session, workerA)).toBeNull();
      expect((await session.survey()).assignments).toEqual(new Map([["invoices", workerB]]));
      await register(session, workerA);
      expect(await sync(session, workerA)).toMatchObject({ assigned: [], liveWorkers: 2, deadLettersDue: [] });
    });

    it("may sign off who are not registered", async () => {
      const session = await openSession();

      await session.deregister(workerA);
    });
  });

  describe("liveness locks", () => {
    /** A session that holds the lock; null where sessions cannot hold any. */
    const holder = async (workerId: string) => {
      const session = await setup().other.openControlSession();
      return (await session.register({ workerId, consumers: [] })) ? session : null;
    };

    it("are held when registering says so, and only then", async () => {
      const session = await openSession();
      const held = await session.register({ workerId: workerA, consumers: [] });

      expect(await observed(session, workerA)).toMatchObject({ livenessLockHeld: held });
      expect(await session.holdLivenessLock(workerA)).toBe(held);
    });

    it("are held as soon as anybody can see the worker", async (context) => {
      if (!(await holder(workerA))) return context.skip();
      const session = await openSession();
      await register(session, workerB);

      expect(await observed(session, workerA)).toMatchObject({ livenessLockHeld: true });
      expect(await observed(session, workerB)).toMatchObject({ livenessLockHeld: true });
    });

    it("pass to a new session of the worker, and are not that of another worker", async (context) => {
      const before = await holder(workerA);
      if (!before) return context.skip();
      const session = await openSession();
      await register(session, workerB);
      await setup().loseSession(before);
      await whenAborted(before.lost);
      expect(await observed(session, workerA)).toMatchObject({ livenessLockHeld: false });

      const after = await setup().other.openControlSession();
      expect(await after.holdLivenessLock(workerA)).toBe(true);

      expect(await observed(session, workerA)).toMatchObject({ livenessLockHeld: true });
    });

    it("are free as soon as the session is lost, however young its heartbeat", async (context) => {
      const held = await holder(workerA);
      if (!held) return context.skip();
      const session = await openSession();

      await setup().loseSession(held);
      await whenAborted(held.lost);

      expect(await observed(session, workerA)).toMatchObject({ livenessLockHeld: false });
    });

    it("are free when the session is closed", async (context) => {
      const held = await holder(workerA);
      if (!held) return context.skip();
      const session = await openSession();

      await held.close();

      expect(await observed(session, workerA)).toMatchObject({ livenessLockHeld: false });
    });

    it("may be taken twice", async (context) => {
      const held = await holder(workerA);
      if (!held) return context.skip();

      expect(await held.holdLivenessLock(workerA)).toBe(true);
    });
  });

  describe("election", () => {
    it("makes one of many leader", async () => {
      const sessions = await Promise.all(
        range(1, 5).map((index) => (index % 2 ? setup().store : setup().other).openControlSession()),
      );

      const outcomes = await Promise.all(sessions.map(({ election }) => election.tick()));

      expect(outcomes.filter((leadership) => leadership !== null)).toHaveLength(1);
    });

    it("keeps the leader and its term as long as it ticks", async () => {
      const session = await openSession();
      const rival = await setup().other.openControlSession();
      const { term } = await lead(session);

      for (let round = 0; round < 3; round++) {
        expect(await rival.election.tick()).toBeNull();
        expect(await session.election.tick()).toEqual({ term });
      }
    });

    it("passes the leadership on when it is given up, with a higher term", async () => {
      const session = await openSession();
      const rival = await setup().other.openControlSession();
      const { term } = await lead(session);

      await session.election.resign();

      const next = await lead(rival);
      expect(next.term).toBeGreaterThan(term);
      expect(await session.election.tick()).toBeNull();
    });

    it("needs one resignation, however often the leader has ticked", async () => {
      const session = await openSession();
      const rival = await setup().other.openControlSession();
      for (let round = 0; round < 3; round++) await lead(session);

      await session.election.resign();

      expect(await rival.election.tick()).not.toBeNull();
    });

    it("takes a resignation of who does not lead for no fault", async () => {
      const session = await openSession();
      const rival = await setup().other.openControlSession();
      const { term } = await lead(session);

      await rival.election.resign();

      expect(await session.election.tick()).toEqual({ term });
    });

    it("gives the same worker a higher term when it leads again", async () => {
      const session = await openSession();
      const { term } = await lead(session);
      await session.election.resign();

      expect((await lead(session)).term).toBeGreaterThan(term);
    });

    it("misses no leader as long as one reports to be alive, or nobody has been asked", async () => {
      const session = await openSession();
      const rival = await setup().other.openControlSession();
      for (const [each, workerId] of [
        [session, workerA],
        [rival, workerB],
      ] as const) {
        await register(each, workerId);
        await sync(each, workerId);
      }
      expect(rival.election.leaderMissing).toBe(false);

      await lead(session);
      await rival.election.tick();

      expect(rival.election.leaderMissing).toBe(false);
      expect(session.election.leaderMissing).toBe(false);
    });

    it("misses no leader that reports to be alive over a new session", async () => {
      const lost = await openSession();
      await register(lost, workerA);
      await lost.close();
      const [session, rival] = [await openSession(), await openSession()];
      await sync(session, workerA);
      await session.holdLivenessLock(workerA);
      await register(rival, workerB);
      await lead(session);

      await setup().elapse(2_000);
      await sync(session, workerA);
      // A lease may have run out meanwhile.
      const leadership = await lead(session);
      await sync(rival, workerB, { heartbeatTimeoutMs: 1_900 });

      expect(await rival.election.tick()).toBeNull();
      expect(rival.election.leaderMissing).toBe(false);
      expect(await session.election.tick()).toEqual(leadership);
    });

    it("passes the leadership on when the leader's session is lost, which knows it", async () => {
      const session = await openSession();
      const rival = await setup().other.openControlSession();
      const { term } = await lead(session);

      await setup().loseSession(session);
      await whenAborted(session.lost);
      const { leaseDurationMs } = setup();
      if (leaseDurationMs !== undefined) {
        expect(await rival.election.tick()).toBeNull();
        await setup().elapse(leaseDurationMs);
      }

      expect((await lead(rival)).term).toBeGreaterThan(term);
      await expect(session.election.tick()).rejects.toThrow();
    });

    it("passes the leadership on when the leader's session is closed", async () => {
      const session = await openSession();
      const rival = await setup().other.openControlSession();
      const { term } = await lead(session);

      await session.close();

      expect((await lead(rival)).term).toBeGreaterThan(term);
    });
  });

  describe("assign", () => {
    it("tells each worker what to run, and the leader who runs what", async () => {
      const session = await openSession();
      await register(session, workerA, workerB);

      await assignTo(session, { orders: workerA, invoices: workerB });

      expect(await sync(session, workerA)).toMatchObject({ assigned: ["orders"], liveWorkers: 2, deadLettersDue: [] });
      expect(await sync(session, workerB)).toMatchObject({
        assigned: ["invoices"],
        liveWorkers: 2,
        deadLettersDue: [],
      });
      expect(await session.survey()).toMatchObject({
        workers: expect.arrayContaining([
          { workerId: workerA, consumers: expect.arrayContaining(["orders", "invoices"]) },
          { workerId: workerB, consumers: expect.arrayContaining(["orders", "invoices"]) },
        ]),
        assignments: new Map([
          ["orders", workerA],
          ["invoices", workerB],
        ]),
      });
    });

    it("replaces the deal before, and takes away what the new one leaves out", async () => {
      const session = await openSession();
      await register(session, workerA, workerB);
      await assignTo(session, { orders: workerA, invoices: workerA });

      await assignTo(session, { orders: workerB });

      expect((await sync(session, workerA))?.assigned).toEqual([]);
      expect((await session.survey()).assignments).toEqual(new Map([["orders", workerB]]));
    });

    it("writes nothing under an old term", async () => {
      const session = await openSession();
      await register(session, workerA, workerB);
      const old = await lead(session);
      await session.assign(old, { assignments: new Map([["orders", workerA]]), dead: [] });
      await session.election.resign();
      const rival = await setup().other.openControlSession();
      await lead(rival);

      const done = await session.assign(old, { assignments: new Map([["orders", workerB]]), dead: [workerA] });

      expect(done).toBe(false);
      expect((await rival.survey()).assignments).toEqual(new Map([["orders", workerA]]));
      expect(await sync(rival, workerA)).toMatchObject({ assigned: ["orders"] });
    });

    it("writes nothing for who has given the leadership up, although nobody else leads", async () => {
      const session = await openSession();
      await register(session, workerA);
      const old = await lead(session);
      await session.election.resign();

      expect(await session.assign(old, { assignments: new Map([["orders", workerA]]), dead: [] })).toBe(false);
      expect((await session.survey()).assignments).toEqual(new Map());
    });

    it("strikes off the dead, who may register again", async () => {
      const session = await openSession();
      await register(session, workerA, workerB);
      await assignTo(session, { orders: workerA });

      await assignTo(session, { orders: workerB }, [workerA]);

      expect(await sync(session, workerA)).toBeNull();
      expect((await session.observeWorkers()).map(({ workerId }) => workerId)).toEqual([workerB]);
      await register(session, workerA);
      expect(await sync(session, workerA)).toMatchObject({ assigned: [] });
    });

    it("leaves the time of what does not change: a repeated plan prolongs nobody's grace", async () => {
      const session = await openSession();
      await register(session, workerA, workerB);
      await setup().store.createCheckpoint("orders", 0n);
      const request: AcquireRequest = {
        consumer: "orders",
        workerId: workerA,
        claim: "assigned",
        graceMs: 80,
        batchTimeoutMs: 80,
        heartbeatTimeoutMs: LONG_MS,
      };
      await assignTo(session, { orders: workerA });
      await setup().store.acquire(request);
      await assignTo(session, { orders: workerB });
      await setup().elapse(50);

      await assignTo(session, { orders: workerB });
      await setup().elapse(50);

      expect(await setup().store.acquire({ ...request, workerId: workerB })).toMatchObject({ outcome: "acquired" });
    });

    it("takes many consumers at once", async () => {
      const session = await openSession();
      const consumers = range(1, 300).map((index) => `consumer-${index}`);
      await session.register({ workerId: workerA, consumers });

      await assignTo(session, Object.fromEntries(consumers.map((consumer) => [consumer, workerA])));

      expect((await sync(session, workerA))?.assigned.toSorted()).toEqual(consumers.toSorted());
    });

    it("takes an empty plan", async () => {
      const session = await openSession();
      await register(session, workerA);
      await assignTo(session, { orders: workerA });

      await assignTo(session, {});

      expect((await session.survey()).assignments).toEqual(new Map());
    });
  });

  describe("a control session", () => {
    const everyCall = (session: ControlSession): (() => Promise<unknown>)[] => [
      () => session.election.tick(),
      () => session.election.resign(),
      () => register(session, workerA),
      () => sync(session, workerA),
      () => session.holdLivenessLock(workerA),
      () => session.deregister(workerA),
      () => session.observeWorkers(),
      () => session.survey(),
      () => session.assign({ term: 1 }, { assignments: new Map(), dead: [] }),
    ];

    it("stays lost once it is lost, and every call says so", async () => {
      const session = await openSession();
      await register(session, workerA);
      expect(session.lost.aborted).toBe(false);

      await setup().loseSession(session);
      await whenAborted(session.lost);

      for (const call of everyCall(session)) await expect(call()).rejects.toThrow();
      await session.close();
    });

    it("can be replaced by a new one", async () => {
      const session = await openSession();
      await register(session, workerA);
      await setup().loseSession(session);
      await whenAborted(session.lost);

      const next = await openSession();

      expect(await sync(next, workerA)).toMatchObject({ assigned: [] });
    });

    it("does nothing more once it is closed, and may be closed twice", async () => {
      const session = await openSession();
      await session.close();
      await session.close();

      for (const call of everyCall(session)) await expect(call()).rejects.toThrow();
    });

    it("is not opened for who has given up already", async () => {
      await expect(setup().store.openControlSession({ signal: AbortSignal.abort() })).rejects.toThrow();
    });
  });
}

function whenAborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    signal.addEventListener("abort", () => resolve(), { once: true });
  });
}
