import type { ControlSession } from "@pup/core";
import type { MemoryStore } from "@pup/testing";
import { describe, expect, it } from "vitest";
import { createFleet, recorder } from "../test/fleet.ts";

const OWNER = "aaaaaaaa-0000-4000-8000-000000000001";
const names = Array.from({ length: 100 }, (_, index) => `consumer-${String(index).padStart(3, "0")}`);

/** A worker that owns all consumers and hands none of them back, as if each were in the middle of a long batch. */
async function busyOwner(store: MemoryStore) {
  const session = await store.openControlSession();
  await session.register({ workerId: OWNER, consumers: names });
  const leadership = await session.election.tick();
  if (!leadership) throw new Error("Expected to lead.");
  await session.assign(leadership, { assignments: new Map(names.map((name) => [name, OWNER])), dead: [] });
  const times = { graceMs: 30_000, batchTimeoutMs: 30_000, heartbeatTimeoutMs: 30_000 };
  const owned = [];
  for (const consumer of names) {
    await store.createCheckpoint(consumer, 0n);
    const answer = await store.acquire({ consumer, workerId: OWNER, claim: "assigned", ...times });
    if (answer.outcome === "acquired") owned.push({ consumer, epoch: answer.epoch });
  }
  await session.register({ workerId: OWNER, consumers: [] });
  await session.election.resign();
  return { session, owned };
}

const beat = (session: ControlSession) => session.sync({ workerId: OWNER, beat: true, heartbeatTimeoutMs: 30_000 });

describe("A worker whose consumers others still have", () => {
  it("asks one question for all of them, at most every 100 ms, and takes none before it can", async () => {
    const fleet = createFleet();
    const { session, owned } = await busyOwner(fleet.store);
    const asked = new Map<string, number>();
    const count = async (operation: string) => void asked.set(operation, (asked.get(operation) ?? 0) + 1);
    const member = fleet.start(
      names.map((name) => recorder(name)),
      {},
      count,
    );
    await fleet.clock.advance(2_000);
    expect(member.worker.health().consumers.every(({ state }) => state === "claiming")).toBe(true);

    asked.clear();
    for (let second = 0; second < 20; second += 5) {
      await beat(session);
      await fleet.clock.advance(5_000);
    }
    // Twice a second once it has become patient; a question for each consumer would make thousands.
    expect(asked.get("acquirable")).toBeLessThanOrEqual(100);
    expect(asked.get("acquirable")).toBeGreaterThanOrEqual(20);
    expect(asked.get("acquire") ?? 0).toBe(0);

    await fleet.store.release(owned);
    await fleet.clock.advance(1_000);
    expect(member.worker.health().consumers.every(({ state }) => state === "running")).toBe(true);
    expect(asked.get("acquire")).toBe(names.length);
    await fleet.stop(member);
  });

  it("takes few at once of those that come free together", async () => {
    const fleet = createFleet();
    let underWay = 0;
    let most = 0;
    const member = fleet.start(names.map((name) => recorder(name)));
    const { acquire } = member.connection;
    Object.assign(member.connection, {
      async acquire(request: Parameters<typeof acquire>[0]) {
        most = Math.max(most, ++underWay);
        await Promise.resolve();
        return acquire(request).finally(() => {
          underWay -= 1;
        });
      },
    });
    await fleet.clock.advance(5_000);

    expect(member.worker.health().consumers.every(({ state }) => state === "running")).toBe(true);
    expect(most).toBe(5);
    await fleet.stop(member);
  });

  it("says while it waits that the database cannot be asked, logs it once a try, and goes on afterwards", async () => {
    const fleet = createFleet();
    const { session, owned } = await busyOwner(fleet.store);
    let failing = false;
    const fail = async (operation: string) => {
      if (failing && operation === "acquirable") throw new Error("permission denied");
    };
    const warnings: unknown[] = [];
    const ignore = () => undefined;
    const logger = { debug: ignore, info: ignore, warn: (facts: unknown) => warnings.push(facts), error: ignore };
    const member = fleet.start(
      names.map((name) => recorder(name)),
      { logger, unhealthyAfterMs: 5_000 },
      fail,
    );
    await fleet.clock.advance(2_000);
    failing = true;
    await fleet.clock.advance(10_000);
    await beat(session);

    expect(member.worker.health().problems).toContain('Consumer "consumer-000" gets nowhere: every try fails.');
    expect(warnings.length).toBeLessThan(20);
    failing = false;
    await fleet.store.release(owned);
    await fleet.clock.advance(10_000);
    expect(member.worker.health()).toMatchObject({ ready: true });
    await fleet.stop(member);
    expect(fleet.clock.pending).toBe(0);
  });

  it("stops waiting at once when it is told to stop", async () => {
    const fleet = createFleet();
    await busyOwner(fleet.store);
    const member = fleet.start(names.map((name) => recorder(name)));
    await fleet.clock.advance(2_000);

    await member.worker.stop();
    expect(fleet.clock.pending).toBe(0);
  });
});
