import type { AcquireRequest, ControlSession } from "@pup/core";
import pg from "pg";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { PgStore } from "../create-store.ts";
import { createStatementLog } from "../test-support/count-statements.ts";
import { holdPostgresTransaction } from "../test-support/hold-transaction.ts";
import { type TestSchema, useSchemas } from "../test-support/open-schema.ts";
import { workerA, workerB } from "../test-support/workers.ts";

const openSchema = useSchemas();
let schema: TestSchema;
let store: PgStore;
let session: ControlSession;

beforeEach(async () => {
  schema = await openSchema();
  store = schema.openStore();
  session = await store.openControlSession();
  for (const workerId of [workerA, workerB]) await session.register({ workerId, consumers: ["orders"] });
  await store.createCheckpoint("orders", 0n);
  await assign(workerA);
});
afterEach(() => schema[Symbol.asyncDispose]());

const request = (fields: Partial<AcquireRequest> = {}): AcquireRequest => ({
  consumer: "orders",
  workerId: workerB,
  claim: "assigned",
  graceMs: 30_000,
  batchTimeoutMs: 60_000,
  heartbeatTimeoutMs: 30_000,
  ...fields,
});

async function assign(workerId: string, dead: readonly string[] = []): Promise<void> {
  const leadership = await session.election.tick();
  await session.assign(leadership ?? { term: -1 }, { assignments: new Map([["orders", workerId]]), dead });
}

/** Worker A has begun a batch, and nothing is heard of it any more, unless it is told to finish. */
async function freezeOwner(
  owner: PgStore,
): Promise<{ readonly outcome: Promise<unknown>; finish(): Promise<unknown> }> {
  const acquired = await owner.acquire(request({ workerId: workerA }));
  const epoch = acquired.outcome === "acquired" ? acquired.epoch : -1;
  const begun = Promise.withResolvers<void>();
  const thawed = Promise.withResolvers<void>();
  const signal = new AbortController().signal;
  const batch = { consumer: "orders", epoch, from: 0n, to: 9n, timeoutMs: 600_000, signal };
  const outcome = owner
    .runBatch(batch, () => {
      begun.resolve();
      return thawed.promise;
    })
    .catch((error: unknown) => error);
  await begun.promise;
  return {
    outcome,
    finish() {
      thawed.resolve();
      return outcome;
    },
  };
}

describe("A take-over from an owner that keeps its checkpoint locked", () => {
  it("ends the owner's batch once the owner counts as dead", async () => {
    const frozen = await freezeOwner(schema.openStore());
    await assign(workerB, [workerA]);

    expect(await store.acquire(request())).toMatchObject({ outcome: "acquired", position: 0n });
    expect(await frozen.outcome).toMatchObject({ code: "PUP_CONNECTION_LOST" });
  });

  it("ends it as well when the batch had written the checkpoint and only COMMIT was missing", async () => {
    await store.acquire(request({ workerId: workerA }));
    const owner = new pg.Client({ connectionString: schema.url, application_name: "pup" });
    const ended = new Promise((resolve) => owner.on("error", resolve));
    await owner.connect();
    await owner.query(`BEGIN; UPDATE "${schema.schema}".consumer_checkpoints SET last_position = 5`);
    await assign(workerB, [workerA]);

    expect(await store.acquire(request())).toMatchObject({ outcome: "acquired", position: 0n });
    await ended;
  });

  it("ends it when the assignment has moved, and the time of a batch and five seconds are over", async () => {
    const frozen = await freezeOwner(schema.openStore());
    await assign(workerB);
    await schema.sql`UPDATE consumer_assignments SET assigned_at = now() - interval '66 seconds'`;

    expect(await store.acquire(request())).toMatchObject({ outcome: "acquired" });
    expect(await frozen.outcome).toMatchObject({ code: "PUP_CONNECTION_LOST" });
  });

  it("leaves the batch of a live owner alone, though its grace is long over: it has the whole time of a batch", async () => {
    const slow = await freezeOwner(schema.openStore());
    await assign(workerB);
    await schema.sql`UPDATE consumer_assignments SET assigned_at = now() - interval '60 seconds'`;

    expect(await store.acquire(request())).toEqual({ outcome: "held", ownerId: workerA });
    expect(await slow.finish()).toBeUndefined();
  });

  it("never ends a session that is not pup's", async () => {
    await store.acquire(request({ workerId: workerA }));
    const held = await holdPostgresTransaction(schema.sql);
    await held.tx`SELECT FROM consumer_checkpoints FOR UPDATE`;
    await assign(workerB, [workerA]);

    expect(await store.acquire(request())).toEqual({ outcome: "held", ownerId: workerA });
    await held.commit();
    expect(await store.acquire(request())).toMatchObject({ outcome: "acquired" });
  });

  it("gives its connection back after 200 ms, as long as the owner is left alone", async () => {
    const slow = await freezeOwner(schema.openStore());
    await assign(workerB);
    const startedAt = performance.now();

    expect(await store.acquire(request({ graceMs: 0 }))).toEqual({ outcome: "held", ownerId: workerA });

    expect(performance.now() - startedAt).toBeGreaterThan(190);
    expect(performance.now() - startedAt).toBeLessThan(5_000);
    await slow.finish();
  });

  it("does not even ask for the lock when it would be refused anyway", async () => {
    const log = createStatementLog();
    const counted = schema.openStore({ connection: { url: schema.url, ...log.options } });
    await store.acquire(request({ workerId: workerA }));
    await assign(workerB);

    const sent = await log.during(async () => {
      expect(await counted.acquire(request())).toEqual({ outcome: "held", ownerId: workerA });
      expect(await counted.acquire(request({ workerId: workerA }))).toEqual({ outcome: "not-yours" });
    });

    expect(sent).toHaveLength(2);
    for (const text of sent) expect(text).not.toContain("FOR NO KEY UPDATE");
  });
});

describe("A worker that waits for many consumers", () => {
  it("asks for a hundred of them in one statement, which locks nothing", async () => {
    const log = createStatementLog();
    const counted = schema.openStore({ connection: { url: schema.url, ...log.options } });
    await store.acquire(request({ workerId: workerA }));
    await assign(workerB);
    const names = Array.from({ length: 100 }, (_, index) => (index === 0 ? "orders" : `consumer-${index}`));
    const { consumer: _, batchTimeoutMs: __, ...claim } = request();

    const sent = await log.during(async () => {
      expect(await counted.acquirable({ ...claim, consumers: names })).toEqual(names.slice(1));
    });

    expect(sent).toHaveLength(1);
    expect(sent[0]).not.toMatch(/\bFOR\b/);
  });
});

describe("The times that a take-over goes by", () => {
  it("are the database's: heartbeats and assignments count by one clock", async () => {
    const acquired = await store.acquire(request({ workerId: workerA }));
    await assign(workerB);
    await schema.sql`UPDATE worker_nodes SET heartbeat_at = now() - interval '29 seconds' WHERE worker_id = ${workerA}`;
    expect(await store.acquire(request())).toEqual({ outcome: "held", ownerId: workerA });

    await schema.sql`UPDATE worker_nodes SET heartbeat_at = now() - interval '31 seconds' WHERE worker_id = ${workerA}`;
    expect(await store.acquire(request())).toMatchObject({ outcome: "acquired" });
    expect(acquired).toMatchObject({ outcome: "acquired" });
  });
});
