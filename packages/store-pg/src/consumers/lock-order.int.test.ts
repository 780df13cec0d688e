import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { PgStore } from "../create-store.ts";
import { holdPostgresTransaction } from "../test-support/hold-transaction.ts";
import { type TestSchema, useSchemas } from "../test-support/open-schema.ts";
import { untilWaiting } from "../test-support/waiting.ts";
import { workerA, workerB } from "../test-support/workers.ts";

const openSchema = useSchemas();
let schema: TestSchema;
let store: PgStore;

beforeEach(async () => {
  schema = await openSchema();
  store = schema.openStore();
});
afterEach(() => schema[Symbol.asyncDispose]());

// In the table they stand in another order than that of their names.
const names = ["c", "b", "a", "d"];

/** Which rows are locked while `statement` waits for the one of "b", which somebody else has. */
async function lockedBehindB(
  table: "consumer_checkpoints" | "consumer_assignments",
  statement: () => Promise<unknown>,
): Promise<string[]> {
  const { sql } = schema;
  const held = await holdPostgresTransaction(sql);
  await held.tx`SELECT FROM ${held.tx(table)} WHERE consumer_name = 'b' FOR UPDATE`;
  const running = statement();
  await untilWaiting(sql, 1);
  const free = await sql<{ name: string }[]>`
    SELECT consumer_name AS name FROM ${sql(table)} ORDER BY 1 FOR UPDATE SKIP LOCKED`;
  await held.commit();
  await running;
  return names.filter((name) => free.every((row) => row.name !== name)).sort();
}

// Who locks "a" before "b", and "c" and "d" after it, waits in no circle with anybody who does the same.
const inOrder = ["a", "b"];

describe("Rows of several consumers are locked in the order of their names", () => {
  const owned = async () => {
    const epochs = [];
    for (const consumer of names) {
      await store.createCheckpoint(consumer, 0n);
      const claim = {
        consumer,
        workerId: workerA,
        claim: "unowned",
        graceMs: 0,
        batchTimeoutMs: 30_000,
        heartbeatTimeoutMs: 1_000,
      } as const;
      const acquired = await store.acquire(claim);
      epochs.push({ consumer, epoch: acquired.outcome === "acquired" ? acquired.epoch : -1, position: 5n });
    }
    return epochs;
  };

  it("by advance", async () => {
    const advances = await owned();

    expect(await lockedBehindB("consumer_checkpoints", () => store.advance(advances))).toEqual(inOrder);
  });

  it("by release", async () => {
    const epochs = await owned();

    expect(await lockedBehindB("consumer_checkpoints", () => store.release(epochs))).toEqual(inOrder);
  });

  /** A leader, and a worker that has been given one consumer after the other. */
  const dealt = async () => {
    const session = await store.openControlSession();
    for (const workerId of [workerA, workerB]) await session.register({ workerId, consumers: names });
    const leadership = (await session.election.tick()) ?? { term: -1 };
    for (let count = 1; count <= names.length; count++) {
      const assignments = new Map(names.slice(0, count).map((name) => [name, workerA]));
      await session.assign(leadership, { assignments, dead: [] });
    }
    return { session, leadership };
  };

  it("by a leader, whether they change hands or are taken away", async () => {
    const { session, leadership } = await dealt();
    const assignments = new Map([
      ["c", workerB],
      ["b", workerB],
    ]);

    const assigning = () => session.assign(leadership, { assignments, dead: [] });
    expect(await lockedBehindB("consumer_assignments", assigning)).toEqual(inOrder);
  });

  it("by a worker that signs off", async () => {
    const { session } = await dealt();

    expect(await lockedBehindB("consumer_assignments", () => session.deregister(workerA))).toEqual(inOrder);
  });
});
