import type { ControlSession, Leadership } from "@pup/core";
import pg from "pg";
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from "vitest";
import type { PgStore } from "../create-store.ts";
import { fleetKey, LEADER_LOCK_CLASS } from "../schema/lock-keys.ts";
import { resolveTables } from "../schema/tables.ts";
import { type TestSchema, useSchemas } from "../test-support/open-schema.ts";
import { untilWaiting } from "../test-support/waiting.ts";
import { workerA, workerB, workerC } from "../test-support/workers.ts";

const openSchema = useSchemas();
let schema: TestSchema;
let store: PgStore;

beforeEach(async () => {
  schema = await openSchema();
  store = schema.openStore();
});
afterEach(() => schema[Symbol.asyncDispose]());

const names = ["orders", "invoices"];
const beat = { beat: true, heartbeatTimeoutMs: 30_000 };

async function lead(session: ControlSession): Promise<Leadership> {
  const leadership = await session.election.tick();
  if (!leadership) throw new Error("Expected the session to lead.");
  return leadership;
}

async function openWorker(workerId: string, consumers: readonly string[] = names) {
  const session = await store.openControlSession();
  await session.register({ workerId, consumers });
  return session;
}

const terminate = (pid: number) => schema.sql`SELECT pg_terminate_backend(${pid})`;

function untilLost({ lost }: ControlSession): Promise<void> {
  return vi.waitFor(() => expect(lost.aborted).toBe(true), { timeout: 5_000 });
}

/** Advisory locks of this schema's fleet, which other tests run beside. */
async function fleetLocks(): Promise<{ leader: number; liveness: number }> {
  const key = fleetKey(resolveTables({ schema: schema.schema })) >>> 0;
  const [row] = await schema.sql<{ leader: number; liveness: number }[]>`
    SELECT
      count(*) FILTER (WHERE objsubid = 2 AND classid = ${LEADER_LOCK_CLASS}::bigint::oid AND objid = ${key}::bigint::oid)::int AS leader,
      count(*) FILTER (WHERE objsubid = 1 AND classid = ${key}::bigint::oid)::int AS liveness
    FROM pg_locks WHERE locktype = 'advisory'`;
  return row ?? { leader: -1, liveness: -1 };
}

describe("Leading by an advisory lock", () => {
  it("ends when the server drops the session: the leader knows, and another one follows", async () => {
    const leader = await openWorker(workerA);
    const rival = await openWorker(workerB);
    const { term } = await lead(leader);

    await terminate(leader.backendPid);
    await untilLost(leader);

    await expect(leader.election.tick()).rejects.toMatchObject({ code: "PUP_CONNECTION_LOST" });
    await vi.waitFor(async () => expect((await lead(rival)).term).toBe(term + 1));
  });

  it("takes the lock once, however often it is asked, and one resignation gives it back", async () => {
    const leader = await openWorker(workerA);
    for (let count = 0; count < 3; count++) await lead(leader);
    expect(await fleetLocks()).toMatchObject({ leader: 1 });

    await leader.election.resign();

    expect(await fleetLocks()).toMatchObject({ leader: 0 });
  });

  it("asks the server once when it is asked many times at once", async () => {
    const leader = await openWorker(workerA);

    const terms = await Promise.all([1, 2, 3].map(() => leader.election.tick()));

    expect(new Set(terms.map((leadership) => leadership?.term)).size).toBe(1);
    await leader.election.resign();
    expect(await fleetLocks()).toMatchObject({ leader: 0 });
  });

  it("steps down when somebody else has begun a term, and gives the lock back", async () => {
    const leader = await openWorker(workerA);
    const { term } = await lead(leader);
    await schema.sql`UPDATE leader_lease SET term = term + 1, owner_id = ${workerB}`;

    expect(await leader.election.tick()).toBeNull();

    expect(await fleetLocks()).toMatchObject({ leader: 0 });
    expect((await lead(leader)).term).toBe(term + 2);
  });

  it("steps down on any error, and gives the lock back: who is not sure does not lead", async () => {
    const leader = await openWorker(workerA);
    await lead(leader);
    await schema.sql`ALTER TABLE leader_lease RENAME TO gone`;

    expect(await leader.election.tick()).toBeNull();
    expect(await fleetLocks()).toMatchObject({ leader: 0 });
    expect(await leader.election.tick()).toBeNull();
    expect(await fleetLocks()).toMatchObject({ leader: 0 });

    await schema.sql`ALTER TABLE gone RENAME TO leader_lease`;
    await lead(leader);
  });

  it("leaves room for another fleet in the same database", async () => {
    const elsewhere = await openSchema();
    onTestFinished(() => elsewhere[Symbol.asyncDispose]());
    const ours = await openWorker(workerA);
    const theirs = await elsewhere.openStore().openControlSession();

    await lead(ours);
    await lead(theirs);
  });

  it("says under whose name and in which term it leads", async () => {
    const leader = await openWorker(workerA);
    const { term } = await lead(leader);

    expect(await schema.sql`SELECT owner_id, term::int FROM leader_lease`).toEqual([{ owner_id: workerA, term }]);
    await leader.election.resign();
    expect(await schema.sql`SELECT owner_id, term::int FROM leader_lease`).toEqual([{ owner_id: null, term }]);
  });
});

describe("A leader that has gone silent", () => {
  const goSilent = (workerId: string) =>
    schema.sql`UPDATE worker_nodes SET heartbeat_at = now() - interval '31 seconds' WHERE worker_id = ${workerId}`;

  it("is deposed: its session is ended, and another worker leads", async () => {
    const leader = await openWorker(workerA);
    const rival = await openWorker(workerB);
    await rival.sync({ workerId: workerB, ...beat });
    const { term } = await lead(leader);
    expect(await rival.election.tick()).toBeNull();
    expect(leader.lost.aborted).toBe(false);

    await goSilent(workerA);

    await vi.waitFor(async () => expect((await rival.election.tick())?.term).toBe(term + 1), { timeout: 5_000 });
    await untilLost(leader);
  });

  it("is left alone as long as its heartbeats come", async () => {
    const leader = await openWorker(workerA);
    const rival = await openWorker(workerB);
    await rival.sync({ workerId: workerB, ...beat });
    await lead(leader);

    for (let count = 0; count < 5; count++) expect(await rival.election.tick()).toBeNull();
    await lead(leader);
  });

  it("does not drag a new one down with it, whose name is not yet written", async () => {
    const rival = await openWorker(workerB);
    await rival.sync({ workerId: workerB, ...beat });
    await schema.sql`INSERT INTO leader_lease (lease_key, owner_id, term) VALUES ('leader', ${workerC}, 7)`;
    await schema.sql`UPDATE leader_lease SET updated_at = now() - interval '1 hour'`;
    const elected = new pg.Client({ connectionString: schema.url, application_name: "pup" });
    await elected.connect();
    onTestFinished(() => elected.end());
    const key = fleetKey(resolveTables({ schema: schema.schema }));
    await elected.query("SELECT pg_advisory_lock($1, $2)", [LEADER_LOCK_CLASS, key]);

    expect(await rival.election.tick()).toBeNull();

    await elected.query(`UPDATE "${schema.schema}".leader_lease SET term = 8, updated_at = now()`);
    for (let count = 0; count < 3; count++) expect(await rival.election.tick()).toBeNull();
    await elected.query("SELECT 'still here'");
  });

  it("is not ended when it is no session of pup's", async () => {
    const rival = await openWorker(workerB);
    await rival.sync({ workerId: workerB, ...beat });
    await schema.sql`INSERT INTO leader_lease (lease_key, owner_id, term, updated_at) VALUES ('leader', ${workerC}, 7, now() - interval '1 hour')`;
    const stranger = new pg.Client({ connectionString: schema.url, application_name: "somebody" });
    await stranger.connect();
    onTestFinished(() => stranger.end());
    const key = fleetKey(resolveTables({ schema: schema.schema }));
    await stranger.query("SELECT pg_advisory_lock($1, $2)", [LEADER_LOCK_CLASS, key]);

    for (let count = 0; count < 4; count++) expect(await rival.election.tick()).toBeNull();
    await stranger.query("SELECT 'still here'");
  });
});

describe("Registering", () => {
  it("removes rows that have long been silent, and keeps the younger ones", async () => {
    const ages = { [workerA]: "61 minutes", [workerB]: "59 minutes" };
    for (const [workerId, age] of Object.entries(ages)) {
      await openWorker(workerId).then((session) => session.close());
      await schema.sql`UPDATE worker_nodes SET heartbeat_at = now() - ${age}::interval WHERE worker_id = ${workerId}`;
    }

    const session = await openWorker(workerC);

    expect((await session.observeWorkers()).map(({ workerId }) => workerId).sort()).toEqual([workerB, workerC]);
  });

  it("keeps rows for ten heartbeat timeouts where those are long", async () => {
    const session = await openWorker(workerA);
    await openWorker(workerB);
    await schema.sql`UPDATE worker_nodes SET heartbeat_at = now() - interval '90 minutes' WHERE worker_id = ${workerB}`;
    await session.sync({ workerId: workerA, beat: true, heartbeatTimeoutMs: 600_000 });

    await session.register({ workerId: workerA, consumers: names });

    expect(await session.observeWorkers()).toHaveLength(2);
  });

  it("shows the worker together with its liveness lock, never without", async () => {
    const watcher = await store.openControlSession();
    const seen: boolean[] = [];
    let watching = true;
    const watch = (async () => {
      while (watching) seen.push(...(await watcher.observeWorkers()).map((worker) => worker.livenessLockHeld));
    })();

    for (const workerId of [workerA, workerB, workerC]) await openWorker(workerId);
    await vi.waitFor(() => expect(seen.length).toBeGreaterThan(5));
    watching = false;
    await watch;

    expect(seen).not.toContain(false);
  });
});

describe("The liveness lock", () => {
  it("is one, also after the worker was struck off and has registered again", async () => {
    const session = await openWorker(workerA);
    await session.holdLivenessLock(workerA);
    await session.deregister(workerA);

    await session.register({ workerId: workerA, consumers: names });
    await session.holdLivenessLock(workerA);

    expect(await fleetLocks()).toMatchObject({ liveness: 1 });
    expect(await session.observeWorkers()).toMatchObject([{ livenessLockHeld: true }]);
  });

  it("is taken over from an earlier session of the same worker that the server has not yet missed", async () => {
    const earlier = await openWorker(workerA);
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
    const leader = await openWorker(workerA);
    await openWorker(workerB);
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

    expect(await leader.survey()).toEqual({
      workers: [{ workerId: workerA, consumers: ["invoices"] }],
      assignments: new Map([["invoices", workerA]]),
    });
    await leader.assign(leadership, plan(workerA, workerA));
    await leader.assign(leadership, { assignments: new Map(), dead: [] });

    expect(await leader.sync({ workerId: workerB, ...beat })).toMatchObject({ assigned: ["orders"], liveWorkers: 2 });
  });

  it("are seen, and struck off when they are dead", async () => {
    const leader = await openWorker(workerA);
    await openWorker(workerB);
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
    const leader = await openWorker(workerA);
    const leaver = await openWorker(workerB);
    const leadership = await lead(leader);
    await leaver.deregister(workerB);

    await leader.assign(leadership, { assignments: new Map([["orders", workerB]]), dead: [] });

    expect((await leader.survey()).assignments).toEqual(new Map());
  });

  it("writes only what differs", async () => {
    const leader = await openWorker(workerA);
    const leadership = await lead(leader);
    const plan = { assignments: new Map(names.map((name) => [name, workerA])), dead: [] };
    await leader.assign(leadership, plan);
    const rows = () => schema.sql`SELECT consumer_name, xmin::text, ctid::text FROM consumer_assignments ORDER BY 1`;
    const before = await rows();

    await leader.assign(leadership, plan);

    expect(await rows()).toEqual(before);
  });

  it("never waits in a circle with workers that sign off", async () => {
    const leader = await openWorker(workerA);
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
    const leader = await openWorker(workerA);
    const leadership = await lead(leader);
    await store.createCheckpoint("orders", 0n);

    await store.transaction(async ({ sql }) => {
      await sql.unsafe(`SELECT FROM "${schema.schema}".consumer_checkpoints FOR UPDATE`);
      expect(await leader.assign(leadership, { assignments: new Map([["orders", workerA]]), dead: [] })).toBe(true);
    });
  });

  it("waits for the leader's row, and writes nothing when a new term has begun meanwhile", async () => {
    const leader = await openWorker(workerA);
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
    const session = await openWorker(workerA);
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
    await session.register({ workerId: workerA, consumers: names });
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
  it("carries the names of consumers once for each release", async () => {
    const consumers = Array.from({ length: 500 }, (_, index) => `consumer-${index}`);
    const session = await openWorker(workerA, consumers);
    await schema.sql`
      INSERT INTO worker_nodes (worker_id, heartbeat_at, consumers, protocol)
      SELECT md5(i::text)::uuid, now(), consumers, 1 FROM worker_nodes, generate_series(1, 99) AS i`;
    await openWorker(workerB, ["orders"]);

    const { workers } = await session.survey();

    expect(workers).toHaveLength(101);
    expect(new Set(workers.map((worker) => worker.consumers)).size).toBe(2);
    expect(workers.find(({ workerId }) => workerId === workerB)?.consumers).toEqual(["orders"]);
  });
});
