import pg from "pg";
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from "vitest";
import type { PgStore } from "../create-store.ts";
import { fleetKey, LEADER_LOCK_CLASS } from "../schema/lock-keys.ts";
import { resolveTables } from "../schema/tables.ts";
import { holdPostgresTransaction } from "../test-support/hold-transaction.ts";
import { type TestSchema, useSchemas } from "../test-support/open-schema.ts";
import { untilWaiting } from "../test-support/waiting.ts";
import {
  beat,
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

describe("Leading by an advisory lock", () => {
  it("ends when the server drops the session: the leader knows, and another one follows", async () => {
    const leader = await openWorker(store, workerA);
    const rival = await openWorker(store, workerB);
    const { term } = await lead(leader);

    await schema.sql`SELECT pg_terminate_backend(${leader.backendPid})`;
    await untilLost(leader);

    await expect(leader.election.tick()).rejects.toMatchObject({ code: "PUP_CONNECTION_LOST" });
    await vi.waitFor(async () => expect((await lead(rival)).term).toBe(term + 1));
  });

  it("takes the lock once, however often it is asked, and one resignation gives it back", async () => {
    const leader = await openWorker(store, workerA);
    for (let count = 0; count < 3; count++) await lead(leader);
    expect(await countFleetLocks(schema)).toMatchObject({ leader: 1 });

    await leader.election.resign();

    expect(await countFleetLocks(schema)).toMatchObject({ leader: 0 });
  });

  it("asks the server once when it is asked many times at once", async () => {
    const leader = await openWorker(store, workerA);

    const terms = await Promise.all([1, 2, 3].map(() => leader.election.tick()));

    expect(new Set(terms.map((leadership) => leadership?.term)).size).toBe(1);
    await leader.election.resign();
    expect(await countFleetLocks(schema)).toMatchObject({ leader: 0 });
  });

  it("steps down when somebody else has begun a term, and gives the lock back", async () => {
    const leader = await openWorker(store, workerA);
    const { term } = await lead(leader);
    await schema.sql`UPDATE leader_lease SET term = term + 1, owner_id = ${workerB}`;

    expect(await leader.election.tick()).toBeNull();

    expect(await countFleetLocks(schema)).toMatchObject({ leader: 0 });
    expect((await lead(leader)).term).toBe(term + 2);
  });

  it("steps down on any error, and gives the lock back: who is not sure does not lead", async () => {
    const leader = await openWorker(store, workerA);
    await lead(leader);
    await schema.sql`ALTER TABLE leader_lease RENAME TO gone`;

    for (let attempt = 0; attempt < 2; attempt++) {
      await expect(leader.election.tick()).rejects.toThrow("leader_lease");
      expect(await countFleetLocks(schema)).toMatchObject({ leader: 0 });
    }

    await schema.sql`ALTER TABLE gone RENAME TO leader_lease`;
    await lead(leader);
  });

  it("refuses the assignment that a leader has in flight while another one begins its term", async () => {
    const leader = await openWorker(store, workerA);
    const leadership = await lead(leader);
    const rival = await holdPostgresTransaction(schema.sql);
    await rival.tx`UPDATE leader_lease SET term = term + 1, owner_id = ${workerB}`;

    const assigning = leader.assign(leadership, { assignments: new Map([["orders", workerA]]), dead: [] });
    await untilWaiting(schema.sql, 1);
    await rival.commit();

    expect(await assigning).toBe(false);
    expect(await schema.sql`SELECT FROM consumer_assignments`).toHaveLength(0);
  });

  it("leaves room for another fleet in the same database", async () => {
    const elsewhere = await openSchema();
    onTestFinished(() => elsewhere[Symbol.asyncDispose]());
    const ours = await openWorker(store, workerA);
    const theirs = await elsewhere.openStore().openControlSession();

    await lead(ours);
    await lead(theirs);
  });

  it("says under whose name and in which term it leads", async () => {
    const leader = await openWorker(store, workerA);
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
    const leader = await openWorker(store, workerA);
    const rival = await openWorker(store, workerB);
    await rival.sync({ workerId: workerB, ...beat });
    const { term } = await lead(leader);
    expect(await rival.election.tick()).toBeNull();
    expect(leader.lost.aborted).toBe(false);

    await goSilent(workerA);

    await vi.waitFor(async () => expect((await rival.election.tick())?.term).toBe(term + 1), { timeout: 5_000 });
    await untilLost(leader);
  });

  it("is left alone as long as its heartbeats come", async () => {
    const leader = await openWorker(store, workerA);
    const rival = await openWorker(store, workerB);
    await rival.sync({ workerId: workerB, ...beat });
    await lead(leader);

    for (let count = 0; count < 5; count++) {
      expect(await rival.election.tick()).toBeNull();
      expect(rival.election.leaderMissing).toBe(false);
    }
    await lead(leader);
  });

  it("is missed from the first tick on that is refused, until somebody leads", async () => {
    const leader = await openWorker(store, workerA);
    const rival = await openWorker(store, workerB);
    await rival.sync({ workerId: workerB, ...beat });
    await lead(leader);
    await goSilent(workerA);

    expect(await rival.election.tick()).toBeNull();
    expect(rival.election.leaderMissing).toBe(true);

    await vi.waitFor(() => lead(rival), { timeout: 5_000 });
    expect(rival.election.leaderMissing).toBe(false);
  });

  it("does not drag a new one down with it, whose name is not yet written", async () => {
    const rival = await openWorker(store, workerB);
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
    const rival = await openWorker(store, workerB);
    await rival.sync({ workerId: workerB, ...beat });
    await schema.sql`INSERT INTO leader_lease (lease_key, owner_id, term, updated_at) VALUES ('leader', ${workerC}, 7, now() - interval '1 hour')`;
    const stranger = new pg.Client({ connectionString: schema.url, application_name: "somebody" });
    await stranger.connect();
    const key = fleetKey(resolveTables({ schema: schema.schema }));
    await stranger.query("SELECT pg_advisory_lock($1, $2)", [LEADER_LOCK_CLASS, key]);

    for (let count = 0; count < 4; count++) expect(await rival.election.tick()).toBeNull();
    await stranger.query("SELECT 'still here'");
    expect(rival.election.leaderMissing).toBe(true);

    await stranger.end();
    await lead(rival);
    expect(rival.election.leaderMissing).toBe(false);
  });
});
