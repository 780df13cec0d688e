import { beginSettling, observeAppenders, observeScan, type RecordedEvent, type SettledState } from "@pup/core";
import { createSeededRandomness } from "@pup/testing";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { PgStore } from "../create-store.ts";
import { holdPostgresTransaction } from "../test-support/hold-transaction.ts";
import { type TestSchema, useSchemas } from "../test-support/open-schema.ts";
import { workerA } from "../test-support/workers.ts";

const openSchema = useSchemas();
let schema: TestSchema;
let store: PgStore;

beforeEach(async () => {
  schema = await openSchema({ max: 24 });
  store = schema.openStore();
});
afterEach(() => schema[Symbol.asyncDispose]());

const event = (aggregateId: string, payload: unknown = {}) => ({
  aggregateType: "Order",
  aggregateId,
  type: "OrderPlaced",
  payload,
});

/** Reads the log the way a worker does: only as far as it is settled. */
function createReader(from: PgStore) {
  let state: SettledState | null = null;
  let readUpTo = 0n;
  const seen: RecordedEvent[] = [];

  async function look(): Promise<void> {
    state ??= beginSettling(0n, await from.latestPosition());
    state = observeScan(state, await from.scanPositions(state.position));
    if (state.hole) state = observeAppenders(state, await from.inFlightAppenders());
    const page = await from.readLog({ after: readUpTo, upTo: state.position, limit: 100, maxBytes: 8_000_000 });
    seen.push(...(await page.events()));
    readUpTo = page.through;
  }

  return {
    look,
    seen,
    async readTo(position: bigint): Promise<void> {
      while (readUpTo < position) await look();
    },
  };
}

describe("Reading up to the settled position", () => {
  it("never passes an append in flight, however many commit behind it", async () => {
    const reader = createReader(store);
    await store.append([event("before")]);
    await reader.look();
    const held = await holdPostgresTransaction(schema.sql);
    await store.append([event("held")], { tx: held.tx });
    for (let index = 0; index < 10; index++) await store.append([event(`later-${index}`)]);

    for (let looks = 0; looks < 5; looks++) await reader.look();
    expect(reader.seen.map(({ aggregateId }) => aggregateId)).toEqual(["before"]);

    await held.commit();
    await reader.readTo(12n);
    expect(reader.seen.map(({ globalPosition }) => globalPosition)).toEqual(range(1, 12));
  });

  it("does not take pup's own sessions for appenders: leader, liveness lock, batches that only read", async () => {
    const session = await store.openControlSession();
    await session.register({ workerId: workerA, consumers: ["orders"] });
    await session.holdLivenessLock(workerA);
    await session.election.tick();
    await store.createCheckpoint("orders", 0n);
    const claim = {
      consumer: "orders",
      workerId: workerA,
      claim: "unowned",
      graceMs: 0,
      batchTimeoutMs: 30_000,
      heartbeatTimeoutMs: 30_000,
    } as const;
    const acquired = await store.acquire(claim);
    if (acquired.outcome !== "acquired") throw new Error("Expected to acquire the consumer.");
    const rolledBack = await holdPostgresTransaction(schema.sql);
    await store.append([event("a")], { tx: rolledBack.tx });
    await rolledBack.rollback();
    await store.append([event("b")]);

    const { epoch } = acquired;
    const batch = {
      consumer: "orders",
      epoch,
      from: 0n,
      to: 2n,
      timeoutMs: 10_000,
      signal: new AbortController().signal,
    };
    await store.runBatch(batch, async ({ sql }) => {
      await sql.unsafe(`SELECT FROM "${schema.schema}".events`);
      const reader = createReader(store);
      await reader.readTo(2n);
      expect(reader.seen).toHaveLength(1);
    });
  });

  it("passes 500 rolled-back appends without waiting for any of them", async () => {
    const reader = createReader(store);
    await store.append([event("first")]);
    await reader.readTo(1n);
    for (let index = 0; index < 500; index++) {
      const rolledBack = store.transaction(async (tx) => {
        await store.append([event("rolled-back")], { tx });
        throw new Error("no");
      });
      await expect(rolledBack).rejects.toThrow("no");
    }
    const { events } = await store.append([event("last")]);
    const committedAt = performance.now();

    await reader.readTo(events[0]?.globalPosition ?? 0n);

    expect(performance.now() - committedAt).toBeLessThan(1_000);
    expect(reader.seen.map(({ aggregateId }) => aggregateId)).toEqual(["first", "last"]);
    expect(await store.missingPositions(0n, 502n)).toEqual([{ first: 2n, last: 501n }]);
  });

  it("loses nothing and turns nothing round under 12 writers that dawdle and roll back", async () => {
    const random = createSeededRandomness(7);
    const reader = createReader(schema.openStore());
    const written: RecordedEvent[] = [];
    let writing = true;
    const reading = (async () => {
      while (writing) await reader.look();
    })();

    await Promise.all(
      Array.from({ length: 12 }, async (_, writer) => {
        for (let round = 0; round < 40; round++) {
          const aggregateId = `aggregate-${Math.floor(random.fraction() * 6)}`;
          const count = 1 + Math.floor(random.fraction() * 3);
          const events = Array.from({ length: count }, () => event(aggregateId, { writer, round }));
          if (random.fraction() < 0.5) {
            written.push(...(await store.append(events)).events);
            continue;
          }
          const held = await holdPostgresTransaction(schema.sql);
          const result = await store.append(events, { tx: held.tx });
          await held.tx`SELECT pg_sleep(${random.fraction() * 0.01})`;
          if (random.fraction() < 0.3) await held.rollback();
          else {
            await held.commit();
            written.push(...result.events);
          }
        }
      }),
    );
    writing = false;
    await reading;
    await reader.readTo(await store.latestPosition());

    const byPosition = written.toSorted((a, b) => (a.globalPosition < b.globalPosition ? -1 : 1));
    expect(reader.seen).toEqual(byPosition);
    for (const versions of Map.groupBy(reader.seen, ({ aggregateId }) => aggregateId).values()) {
      expect(versions.map(({ aggregateVersion }) => aggregateVersion)).toEqual(
        Array.from(versions, (_, index) => index + 1),
      );
    }
  });
});

function range(first: number, last: number): bigint[] {
  return Array.from({ length: last - first + 1 }, (_, index) => BigInt(first + index));
}
