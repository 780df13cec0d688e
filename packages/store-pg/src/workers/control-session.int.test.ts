import pg from "pg";
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from "vitest";
import type { PgStore } from "../create-store.ts";
import { type TestSchema, useSchemas } from "../test-support/open-schema.ts";
import { untilWaiting } from "../test-support/waiting.ts";
import {
  beat,
  consumerNames,
  countFleetLocks,
  lead,
  openWorker,
  untilLost,
  workerA,
  workerB,
  workerC,
} from "../test-support/workers.ts";

const openSchema = useSchemas();
let schema: TestSchema;
let store: PgStore;

beforeEach(async () => {
  schema = await openSchema();
  store = schema.openStore();
});
afterEach(() => schema[Symbol.asyncDispose]());

describe("Registering", () => {
  it("removes rows that have long been silent, and keeps the younger ones", async () => {
    const ages = { [workerA]: "61 minutes", [workerB]: "59 minutes" };
    for (const [workerId, age] of Object.entries(ages)) {
      await openWorker(store, workerId).then((session) => session.close());
      await schema.sql`UPDATE worker_nodes SET heartbeat_at = now() - ${age}::interval WHERE worker_id = ${workerId}`;
    }

    const session = await openWorker(store, workerC);

    expect((await session.observeWorkers()).map(({ workerId }) => workerId).sort()).toEqual([workerB, workerC]);
  });

  it("keeps rows for ten heartbeat timeouts where those are long", async () => {
    const session = await openWorker(store, workerA);
    await openWorker(store, workerB);
    await schema.sql`UPDATE worker_nodes SET heartbeat_at = now() - interval '90 minutes' WHERE worker_id = ${workerB}`;
    await session.sync({ workerId: workerA, beat: true, heartbeatTimeoutMs: 600_000 });

    await session.register({ workerId: workerA, consumers: consumerNames });

    expect(await session.observeWorkers()).toHaveLength(2);
  });

  it("shows the worker together with its liveness lock, never without", async () => {
    const watcher = await store.openControlSession();
    const seen: boolean[] = [];
    let watching = true;
    const watch = (async () => {
      while (watching) seen.push(...(await watcher.observeWorkers()).map((worker) => worker.livenessLockHeld));
    })();

    for (const workerId of [workerA, workerB, workerC]) await openWorker(store, workerId);
    await vi.waitFor(() => expect(seen.length).toBeGreaterThan(5));
    watching = false;
    await watch;

    expect(seen).not.toContain(false);
  });
});

describe("The liveness lock", () => {
  it("is one, also after the worker was struck off and has registered again", async () => {
    const session = await openWorker(store, workerA);
    await session.holdLivenessLock(workerA);
    await session.deregister(workerA);

    await session.register({ workerId: workerA, consumers: consumerNames });
    await session.holdLivenessLock(workerA);

    expect(await countFleetLocks(schema)).toMatchObject({ liveness: 1 });
    expect(await session.observeWorkers()).toMatchObject([{ livenessLockHeld: true }]);
  });

  it("is taken over from an earlier session of the same worker that the server has not yet missed", async () => {
    const earlier = await openWorker(store, workerA);
    const present = await store.openControlSession();

    expect(await present.holdLivenessLock(workerA)).toBe(true);

    await untilLost(earlier);
    expect(await present.observeWorkers()).toMatchObject([{ livenessLockHeld: true }]);
  });

  it("cannot be had for a worker that is not registered", async () => {
    const session = await store.openControlSession();

    expect(await session.holdLivenessLock(workerA)).toBe(false);
  });
});

describe("Workers of a newer release", () => {
  const raiseProtocol = (workerId: string) =>
    schema.sql`UPDATE worker_nodes SET protocol = 99 WHERE worker_id = ${workerId}`;

  it("are given nothing by an older leader, and keep what they have", async () => {
    const leader = await openWorker(store, workerA);
    await openWorker(store, workerB);
    const leadership = await lead(leader);
    const plan = (orders: string, invoices: string) => ({
      assignments: new Map([
        ["orders", orders],
        ["invoices", invoices],
      ]),
      dead: [],
    });
    await leader.assign(leadership, plan(workerB, workerA));
    await raiseProtocol(workerB);

    expect(await leader.survey()).toMatchObject({
      workers: [{ workerId: workerA, consumers: ["invoices"] }],
      assignments: new Map([["invoices", workerA]]),
    });
    await leader.assign(leadership, plan(workerA, workerA));
    await leader.assign(leadership, { assignments: new Map(), dead: [] });

    expect(await leader.sync({ workerId: workerB, ...beat })).toMatchObject({ assigned: ["orders"], liveWorkers: 2 });
  });

  it("are seen, and struck off when they are dead", async () => {
    const leader = await openWorker(store, workerA);
    await openWorker(store, workerB);
    const leadership = await lead(leader);
    await leader.assign(leadership, { assignments: new Map([["orders", workerB]]), dead: [] });
    await raiseProtocol(workerB);
    expect(await leader.observeWorkers()).toHaveLength(2);

    await leader.assign(leadership, { assignments: new Map([["orders", workerA]]), dead: [workerB] });

    expect((await leader.survey()).assignments).toEqual(new Map([["orders", workerA]]));
  });
});

describe("Assigning", () => {
  it("gives nothing to a worker that has signed off meanwhile", async () => {
    const leader = await openWorker(store, workerA);
    const leaver = await openWorker(store, workerB);
    const leadership = await lead(leader);
    await leaver.deregister(workerB);

    await leader.assign(leadership, { assignments: new Map([["orders", workerB]]), dead: [] });

    expect((await leader.survey()).assignments).toEqual(new Map());
  });

  it("writes only what differs", async () => {
    const leader = await openWorker(store, workerA);
    const leadership = await lead(leader);
    const plan = { assignments: new Map(consumerNames.map((name) => [name, workerA])), dead: [] };
    await leader.assign(leadership, plan);
    const rows = () => schema.sql`SELECT consumer_name, xmin::text, ctid::text FROM consumer_assignments ORDER BY 1`;
    const before = await rows();

    await leader.assign(leadership, plan);

    expect(await rows()).toEqual(before);
  });

  it("never waits in a circle with workers that sign off", async () => {
    const leader = await openWorker(store, workerA);
    const leadership = await lead(leader);
    const consumers = Array.from({ length: 40 }, (_, index) => `consumer-${index}`);
    const dealTo = (workers: readonly string[]) => ({
      assignments: new Map(consumers.map((name, index) => [name, workers[index % workers.length] ?? ""])),
      dead: [],
    });
    const leaver = await store.openControlSession();

    for (let round = 0; round < 15; round++) {
      await leaver.register({ workerId: workerB, consumers });
      await leader.assign(leadership, dealTo([workerA, workerB]));
      await Promise.all([leader.assign(leadership, dealTo([workerB, workerA])), leaver.deregister(workerB)]);
    }
  });

  it("does not wait for checkpoints that batches have locked", async () => {
    const leader = await openWorker(store, workerA);
    const leadership = await lead(leader);
    await store.createCheckpoint("orders", 0n);

    await store.transaction(async ({ sql }) => {
      await sql.unsafe(`SELECT FROM "${schema.schema}".consumer_checkpoints FOR UPDATE`);
      expect(await leader.assign(leadership, { assignments: new Map([["orders", workerA]]), dead: [] })).toBe(true);
    });
  });

  it("waits for the leader's row, and writes nothing when a new term has begun meanwhile", async () => {
    const leader = await openWorker(store, workerA);
    const leadership = await lead(leader);
    const rival = new pg.Client({ connectionString: schema.url });
    await rival.connect();
    onTestFinished(() => rival.end());
    await rival.query(`BEGIN; UPDATE "${schema.schema}".leader_lease SET term = term + 1`);

    const assigning = leader.assign(leadership, { assignments: new Map([["orders", workerA]]), dead: [] });
    await untilWaiting(schema.sql, 1);
    await rival.query("COMMIT");

    expect(await assigning).toBe(false);
    expect(await schema.sql`SELECT FROM consumer_assignments`).toHaveLength(0);
  });
});

describe("Heartbeats", () => {
  it("go by the database's clock, whatever this machine's says", async () => {
    vi.useFakeTimers({ toFake: ["Date"], now: new Date("2001-01-01") });
    onTestFinished(() => {
      vi.useRealTimers();
    });
    const session = await openWorker(store, workerA);
    await session.sync({ workerId: workerA, ...beat });

    const [worker] = await session.observeWorkers();
    expect(worker?.heartbeatAgeMs).toBeLessThan(5_000);
    expect(await session.sync({ workerId: workerA, ...beat })).toMatchObject({ liveWorkers: 1 });
  });

  it("are one statement each, like every look at the other workers", async () => {
    const statements: string[] = [];
    const debug = (_: number, query: string) => statements.push(query);
    const counted = schema.openStore({ connection: { url: schema.url, debug } });
    const session = await counted.openControlSession();
    await session.register({ workerId: workerA, consumers: consumerNames });
    await session.election.tick();

    for (const call of [
      () => session.sync({ workerId: workerA, ...beat }),
      () => session.observeWorkers(),
      () => session.survey(),
      () => session.election.tick(),
    ]) {
      statements.length = 0;
      await call();
      expect(statements).toHaveLength(1);
    }
  });
});

describe("A survey of a large fleet", () => {
  it("carries the consumerNames of consumers once for each release", async () => {
    const consumers = Array.from({ length: 500 }, (_, index) => `consumer-${index}`);
    const session = await openWorker(store, workerA, consumers);
    await schema.sql`
      INSERT INTO worker_nodes (worker_id, heartbeat_at, consumers, protocol)
      SELECT md5(i::text)::uuid, now(), consumers, 1 FROM worker_nodes, generate_series(1, 99) AS i`;
    await openWorker(store, workerB, ["orders"]);

    const { workers } = await session.survey();

    expect(workers).toHaveLength(101);
    expect(new Set(workers.map((worker) => worker.consumers)).size).toBe(2);
    expect(workers.find(({ workerId }) => workerId === workerB)?.consumers).toEqual(["orders"]);
  });
});
