import { setTimeout as sleep } from "node:timers/promises";
import type { ControlSession, Leadership } from "@pup/core";
import pg from "pg";
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from "vitest";
import type { PgStore } from "../create-store.ts";
import { fleetKey } from "../schema/lock-keys.ts";
import { resolveTables } from "../schema/tables.ts";
import { type TestSchema, useSchemas } from "../test-support/open-schema.ts";
import { workerA, workerB } from "../test-support/workers.ts";

const LEASE_MS = 2_000;

const openSchema = useSchemas();
let schema: TestSchema;
let byLease: PgStore;
let byLock: PgStore;

beforeEach(async () => {
  schema = await openSchema();
  byLease = schema.openStore({ election: "lease", leaseDurationMs: LEASE_MS });
  byLock = schema.openStore({ election: "advisory" });
});
afterEach(() => schema[Symbol.asyncDispose]());

async function openWorker(store: PgStore, workerId: string) {
  const session = await store.openControlSession();
  await session.register({ workerId, consumers: ["orders"] });
  await session.sync({ workerId, beat: true, heartbeatTimeoutMs: 30_000 });
  return session;
}

async function lead(session: ControlSession): Promise<Leadership> {
  const leadership = await session.election.tick();
  if (!leadership) throw new Error("Expected the session to lead.");
  return leadership;
}

/** The leader's row as it stands, down to who has locked it. */
const leaderRow = () =>
  schema.sql`SELECT owner_id, term::int, expires_at::text, xmin::text, xmax::text, ctid::text FROM leader_lease`;
const expire = () => schema.sql`UPDATE leader_lease SET expires_at = clock_timestamp() - interval '1 millisecond'`;
const toWorkerA = { assignments: new Map([["orders", workerA]]), dead: [] };

/** Advisory locks of this schema's fleet. */
async function locks(): Promise<number> {
  const key = fleetKey(resolveTables({ schema: schema.schema })) >>> 0;
  const held = await schema.sql`
    SELECT FROM pg_locks
    WHERE locktype = 'advisory' AND (classid = ${key}::bigint::oid OR objid = ${key}::bigint::oid)`;
  return held.length;
}

describe("Renewal of a lease", () => {
  it("must match the owner: what another worker has taken stays as it is", async () => {
    const session = await openWorker(byLease, workerA);
    await lead(session);
    await schema.sql`UPDATE leader_lease SET owner_id = ${workerB}`;
    const before = await leaderRow();

    expect(await session.election.tick()).toBeNull();

    expect(await leaderRow()).toEqual(before);
  });

  it("must match the term: an earlier session of the same worker renews nothing", async () => {
    const earlier = await openWorker(byLease, workerA);
    const { term } = await lead(earlier);
    await expire();
    const present = await openWorker(byLease, workerA);
    expect(await lead(present)).toEqual({ term: term + 1 });
    const before = await leaderRow();

    expect(await earlier.election.tick()).toBeNull();

    expect(await leaderRow()).toEqual(before);
    expect(await present.election.tick()).toEqual({ term: term + 1 });
  });

  it("comes too late once the lease has run out: a new term begins", async () => {
    const session = await openWorker(byLease, workerA);
    const { term } = await lead(session);
    await expire();

    expect(await lead(session)).toEqual({ term: term + 1 });
  });

  it("keeps the lease for another full time", async () => {
    const session = await openWorker(byLease, workerA);
    await lead(session);
    await schema.sql`UPDATE leader_lease SET expires_at = clock_timestamp() + interval '1 second'`;

    await lead(session);

    const [row] = await schema.sql<{ left: number }[]>`
      SELECT date_part('epoch', expires_at - clock_timestamp()) * 1000 AS left FROM leader_lease`;
    expect(row?.left).toBeGreaterThan(1_500);
    expect(row?.left).toBeLessThanOrEqual(LEASE_MS);
  });
});

describe("A lease", () => {
  it("runs out by the database's clock, whatever this machine's says", async () => {
    vi.useFakeTimers({ toFake: ["Date"], now: new Date("2001-01-01") });
    onTestFinished(() => {
      vi.useRealTimers();
    });
    const session = await openWorker(byLease, workerA);
    const rival = await openWorker(byLease, workerB);
    const { term } = await lead(session);

    vi.setSystemTime(new Date("2101-01-01"));
    expect(await rival.election.tick()).toBeNull();
    expect(await session.election.tick()).toEqual({ term });
    await expire();
    expect(await rival.election.tick()).toEqual({ term: term + 1 });
  });

  it("passes to another worker within its duration when the leader dies", async () => {
    const session = await openWorker(byLease, workerA);
    const rival = await openWorker(byLease, workerB);
    const { term } = await lead(session);
    const diedAt = performance.now();
    await schema.sql`SELECT pg_terminate_backend(${session.backendPid})`;

    let next: Leadership | null = null;
    while (next === null) {
      await sleep(50);
      next = await rival.election.tick();
    }

    expect(next.term).toBe(term + 1);
    expect(performance.now() - diedAt).toBeLessThan(LEASE_MS + 500);
  });

  it("is free at once when the leader resigns", async () => {
    const session = await openWorker(byLease, workerA);
    const rival = await openWorker(byLease, workerB);
    const { term } = await lead(session);

    await session.election.resign();

    expect(await rival.election.tick()).toEqual({ term: term + 1 });
  });

  it("that has run out lets its leader write nothing, also before anybody else leads", async () => {
    const session = await openWorker(byLease, workerA);
    const leadership = await lead(session);
    expect(await session.assign(leadership, toWorkerA)).toBe(true);
    await expire();

    expect(await session.assign(leadership, { assignments: new Map(), dead: [] })).toBe(false);

    expect((await session.survey()).assignments).toEqual(toWorkerA.assignments);
  });

  it("makes candidates read only, as long as it lasts", async () => {
    const session = await openWorker(byLease, workerA);
    const rival = await openWorker(byLease, workerB);
    await lead(session);
    const before = await leaderRow();

    for (let count = 0; count < 3; count++) expect(await rival.election.tick()).toBeNull();

    expect(rival.election.leaderMissing).toBe(false);
    expect(await leaderRow()).toEqual(before);
  });

  it("makes nobody wait for its row: who finds it locked does not lead", async () => {
    const session = await openWorker(byLease, workerA);
    const rival = await openWorker(byLease, workerB);
    await lead(session);
    await expire();
    const holder = new pg.Client({ connectionString: schema.url });
    await holder.connect();
    onTestFinished(() => holder.end());
    await holder.query(`BEGIN; SELECT FROM "${schema.schema}".leader_lease FOR UPDATE`);

    expect(await rival.election.tick()).toBeNull();
    expect(await session.election.tick()).toBeNull();
    // Should that last, somebody has to know.
    expect(rival.election.leaderMissing).toBe(true);
  });

  it("is one statement for each tick, and taken once by workers that come at the same time", async () => {
    const statements: string[] = [];
    const debug = (_: number, query: string) => statements.push(query);
    const store = schema.openStore({ election: "lease", connection: { url: schema.url, debug } });
    const sessions = await Promise.all(Array.from({ length: 6 }, () => store.openControlSession()));
    statements.length = 0;

    const outcomes = await Promise.all(sessions.map(({ election }) => election.tick()));
    expect(outcomes.filter(Boolean)).toHaveLength(1);
    await expire();
    const again = await Promise.all(sessions.map(({ election }) => election.tick()));

    expect(again.filter(Boolean)).toEqual([{ term: 2 }]);
    expect(statements).toHaveLength(12);
  });

  it("takes no locks of the session, for leading or for liveness", async () => {
    const session = await openWorker(byLease, workerA);
    await lead(session);

    expect(await session.holdLivenessLock(workerA)).toBe(false);
    expect(await session.observeWorkers()).toMatchObject([{ livenessLockHeld: false }]);
    expect(await locks()).toBe(0);
  });
});

describe("A fleet in which some lead by a lease and some by a lock", () => {
  it("has one leader when that leads by a lock, and a lease follows at once when its session dies", async () => {
    const leader = await openWorker(byLock, workerA);
    const candidate = await openWorker(byLease, workerB);
    const { term } = await lead(leader);
    for (let count = 0; count < 3; count++) expect(await candidate.election.tick()).toBeNull();

    await schema.sql`SELECT pg_terminate_backend(${leader.backendPid})`;

    await vi.waitFor(async () => expect(await candidate.election.tick()).toEqual({ term: term + 1 }));
  });

  it("has one leader when that leads by a lease, and a lock follows when it has run out", async () => {
    const leader = await openWorker(byLease, workerA);
    const candidate = await openWorker(byLock, workerB);
    const { term } = await lead(leader);
    const before = await leaderRow();
    for (let count = 0; count < 3; count++) expect(await candidate.election.tick()).toBeNull();
    expect(await leaderRow()).toEqual(before);
    await expire();

    expect(await candidate.election.tick()).toEqual({ term: term + 1 });
    expect(await leader.election.tick()).toBeNull();
    expect(await leader.assign({ term }, toWorkerA)).toBe(false);
  });

  it("passes on what a silent leader by a lock holds, which finds itself replaced", async () => {
    const leader = await openWorker(byLock, workerA);
    const candidate = await openWorker(byLease, workerB);
    const { term } = await lead(leader);
    await schema.sql`UPDATE worker_nodes SET heartbeat_at = now() - interval '31 s' WHERE worker_id = ${workerA}`;

    expect(await candidate.election.tick()).toEqual({ term: term + 1 });

    expect(await leader.assign({ term }, toWorkerA)).toBe(false);
    expect(await leader.election.tick()).toBeNull();
    expect(await candidate.election.tick()).toEqual({ term: term + 1 });
  });

  it("has one leader at a time, however they come and go", async () => {
    const sessions = await Promise.all(
      Array.from({ length: 6 }, (_, index) => (index % 2 ? byLock : byLease).openControlSession()),
    );
    const terms: number[] = [];
    for (let round = 0; round < 10; round++) {
      const outcomes = await Promise.all(sessions.map(({ election }) => election.tick()));
      const leaders = sessions.filter((_, index) => outcomes[index]);
      expect(leaders.length).toBeLessThanOrEqual(1);
      terms.push(...outcomes.flatMap((leadership) => leadership?.term ?? []));
      for (const { election } of leaders) await election.resign();
    }

    expect(terms.length).toBeGreaterThan(5);
    expect(new Set(terms).size).toBe(terms.length);
  });
});
