import { createPulse } from "@pup/core";
import { createManualDispatcher } from "@pup/testing";
import { describe, expect, it } from "vitest";
import { createFleet, type Member, recorder } from "../test/fleet.ts";
import { createWorker } from "./create-worker.ts";
import { type HealthFacts, isLive } from "./health.ts";
import { stringifyHealth } from "./stringify-health.ts";

/** An answer that never comes. */
const never = () => new Promise<never>(() => undefined);

const LOG_OPERATIONS = ["latestPosition", "greatestCheckpoint", "scanPositions", "inFlightAppenders"];

const ordersOf = ({ worker }: Member) => worker.health().consumers.find(({ name }) => name === "orders");

describe("The health of a worker", () => {
  it("is live and ready while it runs, and says what it leads, owns and has done", async () => {
    const fleet = createFleet();
    const member = fleet.start([recorder("orders")]);
    await fleet.append("o-1");
    await fleet.clock.advance(5_000);

    expect(member.worker.health()).toEqual({
      state: "running",
      live: true,
      ready: true,
      problems: [],
      leads: true,
      log: { settledPosition: 1n, headPosition: 1n, seenAgoMs: expect.any(Number), heldUpForMs: 0 },
      consumers: [
        {
          name: "orders",
          state: "running",
          owned: true,
          position: 1n,
          lag: 0n,
          lagMs: 0,
          epoch: 1,
          failures: 0,
          failingForMs: 0,
          lastError: null,
        },
      ],
      loops: ["log", "report", "election"].map((name) => ({ name, lastBeatAgoMs: expect.any(Number), overdueMs: 0 })),
    });
    await fleet.stop(member);
  });

  it("is live, but not ready, before the start and while starting, and neither once it has stopped", async () => {
    const fleet = createFleet();
    const { store, clock } = fleet;
    const worker = createWorker({
      store,
      clock,
      dispatcher: createManualDispatcher(),
      consumers: [recorder("orders")],
    });
    expect(worker.health()).toMatchObject({ state: "new", live: true, ready: false, loops: [] });

    store.setReachable(false);
    worker.start().catch(() => undefined); // Aborted, as is asked below.
    await clock.advance(600_000);
    expect(worker.health()).toMatchObject({ state: "starting", live: true, ready: false });

    await clock.runUntil(worker.stop());
    expect(worker.health()).toMatchObject({ state: "stopped", live: false, ready: false, loops: [] });
  });

  it("stays live and is not ready while the database is away, and recovers by itself", async () => {
    const fleet = createFleet();
    const member = fleet.start([recorder("orders")]);
    await fleet.append("o-1");
    await fleet.clock.advance(1_000);

    fleet.store.setReachable(false);
    await fleet.clock.advance(600_000);
    expect(member.worker.health()).toMatchObject({ live: true, ready: false, log: { settledPosition: null } });

    fleet.store.setReachable(true);
    await fleet.clock.advance(10_000);
    expect(member.worker.health()).toMatchObject({ live: true, ready: true, problems: [] });
    await fleet.stop(member);
  });

  it("stays live and turns red when a consumer has stopped, and names what stopped it", async () => {
    const fleet = createFleet();
    const handle = () => Promise.reject(new Error("Poison."));
    const member = fleet.start([recorder("orders", { handle }), recorder("other")]);
    await fleet.append("o-1");
    await fleet.clock.advance(60_000);

    const stopped = { state: "failed", owned: false, position: 0n, lag: 1n, lastError: { message: "Poison." } };
    expect(member.worker.health()).toMatchObject({ live: true, ready: false, consumers: [stopped, { lag: 0n }] });
    await fleet.stop(member);
  });

  it("keeps the last error of a consumer that has overcome it", async () => {
    const fleet = createFleet();
    let failuresLeft = 1;
    const handle = () => (failuresLeft-- > 0 ? Promise.reject(new Error("Out of luck.")) : Promise.resolve());
    const member = fleet.start([recorder("orders", { handle })]);
    await fleet.append("o-1");
    await fleet.clock.advance(5_000);

    const overcome = { state: "running", lag: 0n, failures: 0, lastError: { message: "Out of luck." } };
    expect(member.worker.health()).toMatchObject({ ready: true, consumers: [overcome] });
    await fleet.stop(member);
  });
});

describe("A consumer's lag", () => {
  it("is counted in positions, and in time since the first event that it has not passed was seen", async () => {
    const fleet = createFleet();
    const gate = Promise.withResolvers<void>();
    const member = fleet.start([recorder("orders", { handle: () => gate.promise })]);
    await fleet.clock.advance(1_000);
    await fleet.append("o-1");
    await fleet.clock.advance(4_000);
    await fleet.append("o-2");
    await fleet.clock.advance(6_000);
    expect(ordersOf(member)).toMatchObject({ lag: 2n, lagMs: 10_000 });

    gate.resolve();
    await fleet.clock.advance(1_000);
    expect(ordersOf(member)).toMatchObject({ lag: 0n, lagMs: 0 });
    await fleet.stop(member);
  });

  it("is unknown where another worker owns the consumer", async () => {
    const fleet = createFleet();
    const members = [1, 2].map(() => fleet.start([recorder("orders")]));
    await fleet.clock.advance(10_000);

    const seen = members.map(ordersOf).map((consumer) => ({ owned: consumer?.owned, lag: consumer?.lag }));
    expect(seen).toHaveLength(2);
    expect(seen).toEqual(
      expect.arrayContaining([
        { owned: true, lag: 0n },
        { owned: false, lag: null },
      ]),
    );
    for (const member of members) await fleet.stop(member);
  });

  it("includes what an open transaction holds up, which is told once it takes long", async () => {
    const fleet = createFleet();
    const member = fleet.start([recorder("orders")]);
    await fleet.clock.advance(1_000);
    const open = await fleet.store.begin();
    await fleet.store.append([{ aggregateType: "Order", aggregateId: "o-1", type: "Placed", payload: {} }], {
      tx: open.tx,
    });
    await fleet.append("o-2");
    await fleet.clock.advance(20_000);
    expect(member.worker.health()).toMatchObject({
      ready: true,
      log: { settledPosition: 0n, headPosition: 2n },
      consumers: [{ position: 0n, lag: 2n, lagMs: 20_000 }],
    });

    await fleet.clock.advance(15_000);
    const { live, ready, problems } = member.worker.health();
    expect({ live, ready, problems }).toEqual({
      live: true,
      ready: false,
      problems: ["A transaction that has appended stays open: what was appended after it waits."],
    });
    await open.commit();
    await fleet.clock.advance(1_000);
    expect(member.worker.health()).toMatchObject({ ready: true, log: { heldUpForMs: 0 }, consumers: [{ lag: 0n }] });
    await fleet.stop(member);
  });

  it("is unknown, and never 0, once the log is not seen any more", async () => {
    const fleet = createFleet();
    let hangs = false;
    const member = fleet.start([recorder("orders")], {}, (operation) =>
      hangs && LOG_OPERATIONS.includes(operation) ? never() : undefined,
    );
    await fleet.append("o-1");
    await fleet.clock.advance(1_000);
    expect(ordersOf(member)).toMatchObject({ lag: 0n, lagMs: 0 });

    hangs = true;
    await fleet.append("o-2");
    await fleet.clock.advance(10_000);
    expect(ordersOf(member)).toMatchObject({ state: "running", position: 1n, lag: null, lagMs: null });
    await fleet.stop(member);
  });

  it("is at most as old as the longest wait between two looks, and says how old", async () => {
    const fleet = createFleet();
    // Nobody rings: as if notifications were lost.
    const member = fleet.start([recorder("orders")], { dispatcher: createManualDispatcher() });
    await fleet.clock.advance(300_000);
    await fleet.append("o-1");
    for (let waitedMs = 0; waitedMs < 40_000; waitedMs += 1_000) {
      await fleet.clock.advance(1_000);
      expect(member.worker.health().log.seenAgoMs).toBeLessThanOrEqual(30_000);
    }
    expect(ordersOf(member)).toMatchObject({ position: 1n, lag: 0n });
    await fleet.stop(member);
  });
});

describe("A loop that hangs", () => {
  it("turns health red after unhealthyAfterMs, and costs the liveness half a minute later", async () => {
    const fleet = createFleet();
    let hangs = false;
    const member = fleet.start([recorder("orders")], {}, (operation) =>
      hangs && LOG_OPERATIONS.includes(operation) ? never() : undefined,
    );
    await fleet.clock.advance(1_000);
    hangs = true;
    await fleet.append("o-1");
    await fleet.clock.advance(25_000);
    expect(member.worker.health()).toMatchObject({ live: true, ready: true });

    await fleet.clock.advance(10_000);
    const { live, ready, problems } = member.worker.health();
    expect({ live, ready, problems }).toEqual({
      live: true,
      ready: false,
      problems: [expect.stringMatching(/^The loop "log" does not turn: overdue by \d+ ms\.$/)],
    });
    await fleet.clock.advance(30_000);
    expect(member.worker.health()).toMatchObject({ live: false, ready: false });
    await fleet.stop(member);
  });

  it("costs no liveness while the database answers nobody, and does a minute after it answers others again", async () => {
    const fleet = createFleet();
    let silent = false;
    const member = fleet.start([recorder("orders")], {}, () => (silent ? never() : undefined));
    await fleet.clock.advance(1_000);
    silent = true;
    await fleet.append("o-1");
    await fleet.clock.advance(600_000);
    expect(member.worker.health()).toMatchObject({ live: true, ready: false, consumers: [{ lag: null }] });
    const overdueMs = (name: string) => member.worker.health().loops.find((loop) => loop.name === name)?.overdueMs;
    expect(overdueMs("log")).toBeGreaterThan(590_000);
    // The line gives up waiting and is opened anew: its loops go on.
    expect(overdueMs("report")).toBeLessThan(30_000);

    // The line to the others stands again, and the log still waits for an answer that will never come.
    silent = false;
    await fleet.clock.advance(40_000);
    expect(member.worker.health()).toMatchObject({ live: true, ready: false });
    await fleet.clock.advance(60_000);
    expect(member.worker.health()).toMatchObject({ live: false, ready: false });
    await fleet.stop(member);
  });

  it("is noticed in a dispatcher, too", async () => {
    const fleet = createFleet();
    const pulse = createPulse(fleet.clock);
    const dispatcher = {
      ...createManualDispatcher(),
      health: () => ({ healthy: true, problem: null, pulse: pulse.reading }),
    };
    const member = fleet.start([recorder("orders")], { dispatcher });
    await fleet.clock.advance(1_000);
    pulse.beat(200);
    await fleet.clock.advance(30_000);
    expect(member.worker.health()).toMatchObject({ live: true, ready: true });
    await fleet.clock.advance(1_000);
    expect(member.worker.health().problems).toEqual([
      expect.stringMatching(/^The loop "dispatcher" does not turn: overdue by 30\d{3} ms\.$/),
    ]);
    await fleet.clock.advance(30_000);
    expect(member.worker.health()).toMatchObject({ live: false, ready: false });
    await fleet.stop(member);
  });

  it.each(["report", "election"] as const)("is noticed in %s, whether the line stands or not", (name) => {
    const judge = (overdueMs: number, connectedForMs: number) =>
      isLive({
        state: "running",
        connectedForMs,
        loops: [{ name, overdueMs, lastBeatAgoMs: overdueMs }],
      } as unknown as HealthFacts);

    expect([judge(60_000, 0), judge(60_000, 90_000)]).toEqual([true, true]);
    expect([judge(60_001, 0), judge(60_001, 90_000)]).toEqual([false, false]);
  });

  it("is no idle worker", async () => {
    const fleet = createFleet();
    const options = { pollIntervalMs: 120_000, maxPollIntervalMs: 600_000 };
    const members = [1, 2].map(() =>
      fleet.start([recorder("orders")], { ...options, dispatcher: createManualDispatcher() }),
    );
    for (let minutes = 0; minutes < 12; minutes++) {
      await fleet.clock.advance(60_000);
      for (const { worker } of members) expect(worker.health()).toMatchObject({ live: true, ready: true });
    }
    for (const member of members) await fleet.stop(member);
  });
});

describe("Health as JSON", () => {
  it("prints positions as strings, and errors as name, code and message", async () => {
    const fleet = createFleet();
    const handle = () =>
      Promise.reject(Object.assign(new TypeError("Poison."), { code: "E_POISON", payload: "secret" }));
    const member = fleet.start([recorder("orders", { handle })]);
    await fleet.append("o-1");
    await fleet.clock.advance(60_000);

    const health = member.worker.health();
    expect(() => JSON.stringify(health)).toThrow(TypeError);
    expect(stringifyHealth(health)).not.toContain("secret");
    expect(JSON.parse(stringifyHealth(health))).toMatchObject({
      live: true,
      ready: false,
      log: { settledPosition: "1" },
      consumers: [{ position: "0", lag: "1", lastError: { name: "TypeError", code: "E_POISON", message: "Poison." } }],
    });
    expect(stringifyHealth(health, 2)).toContain('\n  "live": true');
    await fleet.stop(member);
  });
});
