import type { RecordedEvent } from "@pup/core";
import { describe, expect, it } from "vitest";
import { assignTo } from "../contracts/workers.ts";
import { createManualClock } from "../manual-clock.ts";
import { createSeededRandomness } from "../seeded-randomness.ts";
import { createMemoryStore } from "./create-memory-store.ts";
import type { MemoryStore } from "./memory-store.ts";

describe("createMemoryStore", () => {
  const open = (options: Parameters<typeof createMemoryStore>[0] = {}) => {
    const clock = createManualClock();
    const store = createMemoryStore({ clock, random: createSeededRandomness(1), startTime: new Date(0), ...options });
    return { clock, store };
  };
  const order = (aggregateId: string) => ({ aggregateType: "Order", aggregateId, type: "OrderPlaced", payload: {} });
  const append = async (store: MemoryStore, aggregateId: string) =>
    (await store.append([order(aggregateId)])).events[0] as RecordedEvent;
  const hold = async (store: MemoryStore, aggregateId: string) => {
    const held = await store.begin();
    const { events } = await store.append([order(aggregateId)], { tx: held.tx });
    return { ...held, position: events[0]?.globalPosition };
  };

  it("takes times and ids from what it is given", async () => {
    const { clock, store } = open();
    await clock.advance(5_000);
    const event = await append(store, "o-1");

    expect(event.createdAt).toEqual(new Date(5_000));
    expect((await append(open().store, "o-1")).id).toBe((await append(open().store, "o-1")).id);
  });

  it("needs nothing to be given", async () => {
    const { createdAt } = await append(createMemoryStore(), "o-1");

    expect(Math.abs(createdAt.getTime() - Date.now())).toBeLessThan(1_000);
  });

  it("calls a hook before each operation, which may count, delay or fail it", async () => {
    const operations: string[] = [];
    const { store } = open({
      async beforeOperation(operation) {
        operations.push(operation);
        await Promise.resolve();
        if (operation === "latestPosition") throw new Error("injected");
      },
    });
    await append(store, "o-1");
    const session = await store.openControlSession();
    await session.survey();

    await expect(store.latestPosition()).rejects.toThrow("injected");
    expect(operations).toEqual(["append", "openControlSession", "survey", "latestPosition"]);
  });

  describe("tables of transactions", () => {
    it("belong to the transaction until it commits", async () => {
      const { store } = open();
      const { tx, commit } = await store.begin();
      await tx.table("orders").set("o-1", { total: 1 });
      expect(await tx.table("orders").get("o-1")).toEqual({ total: 1 });
      expect(store.table("orders").size).toBe(0);

      await commit();

      expect(store.table("orders")).toEqual(new Map([["o-1", { total: 1 }]]));
      await expect(tx.table("orders").get("o-1")).rejects.toMatchObject({ code: "PUP_INVALID_STATE" });
    });

    it("list, update and delete rows, own changes included", async () => {
      const { store } = open();
      await store.transaction((tx) => tx.table("counts").set("a", 1));

      await store.transaction(async (tx) => {
        const counts = tx.table<number>("counts");
        expect(await counts.update("a", (count = 0) => count + 1)).toBe(2);
        expect(await counts.update("b", (count = 0) => count + 1)).toBe(1);
        expect(await counts.list()).toEqual(
          new Map([
            ["a", 2],
            ["b", 1],
          ]),
        );
        expect(await counts.delete("a")).toBe(true);
        expect(await counts.delete("a")).toBe(false);
        expect(await counts.get("a")).toBeUndefined();
      });

      expect(store.table("counts")).toEqual(new Map([["b", 1]]));
    });

    it("are left alone by a transaction that rejects", async () => {
      const { store } = open();
      await expect(
        store.transaction(async (tx) => {
          await tx.table("orders").set("o-1", 1);
          throw new Error("no");
        }),
      ).rejects.toThrow("no");

      expect(store.table("orders").size).toBe(0);
    });

    it("cannot be reached through what was put in or taken out", async () => {
      const { store } = open();
      const row = { lines: [1] };
      await store.transaction((tx) => tx.table("orders").set("o-1", row));
      row.lines.push(2);
      store.table<typeof row>("orders").get("o-1")?.lines.push(3);

      expect(store.table("orders").get("o-1")).toEqual({ lines: [1] });
    });

    it("make writers of one row wait for each other", async () => {
      const { store } = open();
      const first = await store.begin();
      await first.tx.table<number>("counts").update("a", (count = 0) => count + 1);
      const second = store.transaction((tx) => tx.table<number>("counts").update("a", (count = 0) => count + 1));

      await first.commit();

      expect(await second).toBe(2);
    });

    it("never meet the store's own tables", async () => {
      const { store } = open();
      await store.createCheckpoint("orders", 5n);

      expect(store.table("consumer_checkpoints").size).toBe(0);
    });
  });

  it("ends one of two transactions that wait for each other", async () => {
    const { store } = open();
    const [one, other] = [await store.begin(), await store.begin()];
    await one.tx.table("t").set("a", 1);
    await other.tx.table("t").set("b", 1);
    const waiting = one.tx.table("t").set("b", 2);

    const error = await other.tx
      .table("t")
      .set("a", 2)
      .catch((reason: unknown) => reason);

    expect(error).toMatchObject({ code: "PUP_MEMORY_DEADLOCK" });
    expect(store.isTransient(error)).toBe(true);
    await expect(other.tx.table("t").get("a")).rejects.toBe(error);
    await expect(other.commit()).rejects.toBe(error);
    await other.rollback();
    await waiting;
    await one.commit();
    expect(store.table("t")).toEqual(
      new Map([
        ["a", 1],
        ["b", 2],
      ]),
    );
  });

  it("takes a transaction of its own kind only", async () => {
    const { store } = open();

    await expect(store.append([order("o-1")], { tx: {} as never })).rejects.toMatchObject({
      code: "PUP_INVALID_STATE",
    });
  });

  describe("restart", () => {
    it("rolls back what was open, and is another run", async () => {
      const { store } = open();
      const held = await hold(store, "o-1");
      const { serverRun } = await store.scanPositions(0n);

      store.restart();

      await expect(held.commit()).rejects.toMatchObject({ code: "PUP_MEMORY_CONNECTION_LOST" });
      expect(await store.inFlightAppenders()).toMatchObject({ appenders: [], recovering: false });
      expect((await store.scanPositions(0n)).serverRun).not.toBe(serverRun);
    });

    it("brings nothing back while the server cannot be reached", async () => {
      const { store } = open();
      const back: unknown[] = [];
      store.signals.on("server:back", (told) => back.push(told));
      store.setReachable(false);

      store.restart();
      expect(back).toHaveLength(0);

      store.setReachable(true);
      expect(back).toHaveLength(1);
    });

    it("loses control sessions, and their locks", async () => {
      const { store } = open();
      const session = await store.openControlSession();
      await session.election.tick();

      store.restart();

      expect(session.lost.aborted).toBe(true);
      expect(store.controlSessions).toEqual([]);
      expect(await (await store.openControlSession()).election.tick()).toEqual({ term: 2 });
    });

    it("goes on with the next position after an orderly one, and draws lost ones again after a crash", async () => {
      const { store } = open();
      await append(store, "o-1");
      await hold(store, "o-2");
      store.restart();
      expect((await append(store, "o-3")).globalPosition).toBe(3n);

      await hold(store, "o-4");
      store.restart({ crash: true });
      expect((await append(store, "o-5")).globalPosition).toBe(4n);
    });

    it("keeps prepared transactions, under another id, and never gives their positions away", async () => {
      const { store } = open();
      const held = await hold(store, "o-1");
      await held.prepare();
      const [before] = (await store.inFlightAppenders()).appenders;

      store.restart({ crash: true });

      const [after] = (await store.inFlightAppenders()).appenders;
      expect(after).toMatchObject({ prepared: true, pid: null });
      expect(after?.id).not.toBe(before?.id);
      expect((await append(store, "o-2")).globalPosition).toBe(2n);
      await held.commit();
      expect(await store.latestPosition()).toBe(2n);
      expect((await store.readStream({ aggregateType: "Order", aggregateId: "o-1" })).length).toBe(1);
    });

    it("brings ids of transactions back: they mean something within one run only", async () => {
      const { store } = open();
      await hold(store, "o-1");
      const [before] = (await store.inFlightAppenders()).appenders;
      store.restart();
      await hold(store, "o-1");
      const [after] = (await store.inFlightAppenders()).appenders;

      expect(after?.id).toBe(before?.id);
    });
  });

  describe("out of reach", () => {
    it("rejects everything, as something that passes, until it is back", async () => {
      const { store } = open();
      const held = await hold(store, "o-1");
      const session = await store.openControlSession();
      store.setReachable(false);

      for (const call of [
        store.latestPosition(),
        append(store, "o-2"),
        store.openControlSession(),
        held.commit(),
        session.survey(),
      ]) {
        const error = await call.catch((reason: unknown) => reason);
        expect(store.isTransient(error)).toBe(true);
      }
      expect(session.lost.aborted).toBe(true);

      store.setReachable(true);
      expect(await store.latestPosition()).toBe(0n);
      expect((await append(store, "o-2")).globalPosition).toBe(2n);
    });
  });

  describe("as a standby", () => {
    it("says so, and takes no writes", async () => {
      const { store } = open();
      store.setRecovering(true);

      expect(await store.scanPositions(0n)).toMatchObject({ recovering: true });
      expect(await store.inFlightAppenders()).toMatchObject({ recovering: true });
      await expect(append(store, "o-1")).rejects.toThrow("standby");

      store.setRecovering(false);
      await append(store, "o-1");
    });
  });

  describe("connections", () => {
    it("see the same server", async () => {
      const { store } = open();
      const other = store.connect({ applicationName: "other" });
      await append(store, "o-1");
      await hold(other, "o-2");

      expect(await other.latestPosition()).toBe(1n);
      expect((await store.inFlightAppenders()).appenders).toMatchObject([{ applicationName: "other" }]);
    });

    it("can be cut off as a killed process is, and leave the others alone", async () => {
      const { store } = open();
      const victim = store.connect();
      const held = await hold(victim, "o-1");
      const session = await victim.openControlSession();
      await session.register({ workerId: "w-1", consumers: [] });
      await session.election.tick();
      const survivor = await store.openControlSession();

      victim.kill();

      await expect(victim.latestPosition()).rejects.toMatchObject({ code: "PUP_MEMORY_CONNECTION_LOST" });
      await expect(held.commit()).rejects.toMatchObject({ code: "PUP_MEMORY_CONNECTION_LOST" });
      expect(session.lost.aborted).toBe(true);
      expect(await survivor.observeWorkers()).toMatchObject([{ workerId: "w-1", livenessLockHeld: false }]);
      expect(await survivor.election.tick()).toEqual({ term: 2 });
      expect((await store.inFlightAppenders()).appenders).toEqual([]);
    });
  });

  describe("control sessions", () => {
    it("hold no locks when told so, as behind a transaction pooler", async () => {
      const { store } = open({ sessionLocks: false });
      const session = await store.openControlSession();
      await session.register({ workerId: "w-1", consumers: [] });

      expect(await session.holdLivenessLock("w-1")).toBe(false);
      expect(await session.observeWorkers()).toMatchObject([{ livenessLockHeld: false }]);
    });

    it("depose a leader that has gone silent", async () => {
      const { clock, store } = open();
      const [leader, rival] = [await store.openControlSession(), await store.openControlSession()];
      for (const [session, workerId] of [
        [leader, "w-1"],
        [rival, "w-2"],
      ] as const) {
        await session.register({ workerId, consumers: [] });
        await session.sync({ workerId, beat: true, heartbeatTimeoutMs: 1_000 });
      }
      await leader.election.tick();
      await clock.advance(1_000);
      await rival.sync({ workerId: "w-2", beat: true, heartbeatTimeoutMs: 1_000 });
      expect(await rival.election.tick()).toBeNull();

      await clock.advance(1);

      expect(await rival.election.tick()).toEqual({ term: 2 });
      expect(leader.lost.aborted).toBe(true);
    });

    describe("with leases", () => {
      const LEASE_MS = 3_000;
      const openLeased = async () => {
        const { clock, store } = open({ sessionLocks: false, leaseDurationMs: LEASE_MS });
        const [leader, rival] = [await store.openControlSession(), await store.connect().openControlSession()];
        await leader.register({ workerId: "w-1", consumers: ["orders"] });
        await rival.register({ workerId: "w-2", consumers: ["orders"] });
        expect(await leader.election.tick()).toEqual({ term: 1 });
        return { clock, store, leader, rival };
      };
      const toLeader = { assignments: new Map([["orders", "w-1"]]), dead: [] };

      it("lead until the time is over, however their session ended", async () => {
        const { clock, store, leader, rival } = await openLeased();
        leader.kill();
        store.restart();
        const next = await store.openControlSession();
        await clock.advance(LEASE_MS - 1);
        expect(await next.election.tick()).toBeNull();
        await expect(rival.election.tick()).rejects.toThrow();

        await clock.advance(1);

        expect(await next.election.tick()).toEqual({ term: 2 });
      });

      it("prolong what they have with every tick", async () => {
        const { clock, leader, rival } = await openLeased();
        for (let round = 0; round < 3; round++) {
          await clock.advance(LEASE_MS - 1);
          expect(await leader.election.tick()).toEqual({ term: 1 });
          expect(await rival.election.tick()).toBeNull();
        }
      });

      it("begin a new term when they come too late to prolong, and write nothing meanwhile", async () => {
        const { clock, leader } = await openLeased();
        await clock.advance(LEASE_MS);

        expect(await leader.assign({ term: 1 }, toLeader)).toBe(false);
        expect(await leader.election.tick()).toEqual({ term: 2 });
        expect(await leader.assign({ term: 1 }, toLeader)).toBe(false);
        expect(await leader.assign({ term: 2 }, toLeader)).toBe(true);
      });

      it("neither prolong nor use nor give up what another one has taken", async () => {
        const { clock, leader, rival } = await openLeased();
        await clock.advance(LEASE_MS);
        expect(await rival.election.tick()).toEqual({ term: 2 });

        expect(await leader.election.tick()).toBeNull();
        expect(await leader.assign({ term: 2 }, toLeader)).toBe(false);
        await leader.election.resign();
        await leader.close();

        expect(await rival.election.tick()).toEqual({ term: 2 });
      });

      it("give it up when they close in good order", async () => {
        const { leader, rival } = await openLeased();
        await leader.close();

        expect(await rival.election.tick()).toEqual({ term: 2 });
      });
    });

    it("take a consumer from a dead owner whose batch still holds the row", async () => {
      const { clock, store } = open();
      const session = await store.openControlSession();
      for (const workerId of ["w-1", "w-2"]) await session.register({ workerId, consumers: ["orders"] });
      await store.createCheckpoint("orders", 0n);
      const request = {
        consumer: "orders",
        claim: "unowned",
        graceMs: 0,
        batchTimeoutMs: 30_000,
        heartbeatTimeoutMs: 1_000,
      } as const;
      await store.acquire({ ...request, workerId: "w-1" });
      const { signal } = new AbortController();
      const frozen = store.runBatch(
        { consumer: "orders", epoch: 1, from: 0n, to: 5n, timeoutMs: 60_000, signal },
        () => new Promise(() => undefined),
      );
      frozen.catch(() => undefined);
      await clock.advance(2_000);
      await session.sync({ workerId: "w-2", beat: true, heartbeatTimeoutMs: 1_000 });

      const acquired = await clock.runUntil(store.acquire({ ...request, workerId: "w-2" }));

      expect(acquired).toEqual({ outcome: "acquired", epoch: 2, position: 0n });
      await expect(frozen).rejects.toMatchObject({ code: "PUP_MEMORY_CONNECTION_LOST" });
    });

    it("leave a live owner the time of a whole batch, then take the consumer", async () => {
      const { clock, store } = open();
      const session = await store.openControlSession();
      for (const workerId of ["w-1", "w-2"]) await session.register({ workerId, consumers: ["orders"] });
      await store.createCheckpoint("orders", 0n);
      const times = { graceMs: 1_000, batchTimeoutMs: 30_000, heartbeatTimeoutMs: 1_000_000 };
      const request = { consumer: "orders", claim: "assigned", ...times } as const;
      await assignTo(session, { orders: "w-1" });
      await store.acquire({ ...request, workerId: "w-1" });
      const { signal } = new AbortController();
      const stuck = store.runBatch(
        { consumer: "orders", epoch: 1, from: 0n, to: 5n, timeoutMs: 60_000, signal },
        () => new Promise(() => undefined),
      );
      stuck.catch(() => undefined);
      await assignTo(session, { orders: "w-2" });

      await clock.advance(34_000);
      const early = await clock.runUntil(store.acquire({ ...request, workerId: "w-2" }));
      await clock.advance(1_000);
      const late = await clock.runUntil(store.acquire({ ...request, workerId: "w-2" }));

      expect(early).toEqual({ outcome: "held", ownerId: "w-1" });
      expect(late).toEqual({ outcome: "acquired", epoch: 2, position: 0n });
      await expect(stuck).rejects.toMatchObject({ code: "PUP_MEMORY_CONNECTION_LOST" });
    });
  });

  describe("payloads", () => {
    it("come back with their keys in the order of jsonb: shorter ones first", async () => {
      const { store } = open();
      await store.append([{ ...order("o-1"), payload: { total: 1, id: 2, b: { zz: 1, a: 2 }, ä: 3 } }]);
      const { events } = await store.readStream({ aggregateType: "Order", aggregateId: "o-1" });

      expect(JSON.stringify(events[0]?.payload)).toBe('{"b":{"a":2,"zz":1},"id":2,"ä":3,"total":1}');
    });
  });

  describe("signals", () => {
    it("tell of commits, unless the append asked for silence or wrote nothing", async () => {
      const { store } = open();
      let wakeUps = 0;
      store.signals.on("signal:events", () => {
        wakeUps += 1;
      });
      const id = "0190abcd-0000-7000-8000-000000000001";
      await store.append([{ ...order("o-1"), id }]);
      expect(wakeUps).toBe(1);

      await store.append([{ ...order("o-1"), id }]);
      await store.append([order("o-2")], { wake: false });
      const held = await hold(store, "o-3");
      await store.append([order("o-4")], { tx: held.tx });
      expect(wakeUps).toBe(1);
      await held.commit();
      expect(wakeUps).toBe(2);

      store.wake();
      expect(wakeUps).toBe(3);
    });
  });
});
