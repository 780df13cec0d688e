import { defineConsumer } from "@pup/core";
import { createPgStore, type PgTransaction } from "@pup/store-pg";
import { describe, expect, inject, it, vi } from "vitest";
import { openParts, type Parts, reached } from "./support/open-parts.ts";
import { compareTrail, createTrail, leaveTrail, trailConsumer } from "./support/trail.ts";

const times = { heartbeatIntervalMs: 200, heartbeatTimeoutMs: 4_000, rebalanceIntervalMs: 500 };
const names = ["never settles", "slow", "orders", "elsewhere"];

describe("A worker whose pool is taken up by handlers and by the application", () => {
  it("keeps what it owns, and goes on when there are connections again", { timeout: 60_000 }, async () => {
    await using parts = await openParts(inject("postgresUrl"));
    await createTrail(parts.sql);
    const store = createPgStore({ connection: parts.url, max: 4 }); // Two for transactions.
    const begun = [Promise.withResolvers<void>(), Promise.withResolvers<void>()] as const;
    const enough = Promise.withResolvers<void>();
    const starved = parts.start({
      ...times,
      store,
      batchTimeoutMs: 60_000,
      shutdownTimeoutMs: 100,
      consumers: [
        defineConsumer<PgTransaction>({
          name: "never settles",
          handleBatch() {
            begun[0].resolve();
            return new Promise(() => undefined);
          },
        }),
        defineConsumer<PgTransaction>({
          name: "slow",
          async handleBatch(events, { tx }) {
            begun[1].resolve();
            await enough.promise;
            await leaveTrail(tx, "slow", events);
          },
        }),
        trailConsumer("orders", { eventTypes: ["Paid"] }),
      ],
    });
    const rival = parts.start({ ...times, consumers: [trailConsumer("elsewhere")] });
    await vi.waitFor(async () => expect((await ownership(parts)).filter(isOwned)).toHaveLength(names.length), {
      timeout: 20_000,
    });
    const before = await ownership(parts);
    const order = { aggregateType: "Order", aggregateId: "o-1" };
    await parts.store.append([{ ...order, type: "Placed", payload: {} }]);
    await Promise.all(begun.map(({ promise }) => promise));
    const application = Array.from({ length: 10 }, () => store.transaction(({ sql }) => sql`select pg_sleep(0.1)`));
    await parts.store.append([{ ...order, type: "Paid", payload: {} }]);

    await untilReportedFor(parts, starved.worker.id, 1.5 * times.heartbeatTimeoutMs);

    expect(await ownership(parts)).toEqual(before);
    for (const { recorded } of [starved, rival]) {
      expect(recorded.of("leader:worker-died")).toEqual([]);
      expect(recorded.of("worker:disconnected")).toEqual([]);
    }
    enough.resolve();
    await Promise.all(application);
    await reached(starved, parts.store, ["slow", "orders"], 2n);
    for (const consumer of ["slow", "orders"]) {
      expect(await compareTrail(parts.sql, consumer)).toMatchObject({ duplicates: 0, outOfOrder: 0 });
    }
    expect(await ownership(parts)).toEqual(before);
    await starved.worker.stop();
    await store.close();
  });
});

interface Owned {
  readonly consumer: string;
  readonly ownerId: string | null;
  readonly epoch: number;
}

const isOwned = ({ ownerId }: Owned) => ownerId !== null;

async function ownership({ store }: Parts): Promise<readonly Owned[]> {
  const checkpoints = await store.readCheckpoints(names);
  return checkpoints
    .map(({ consumer, ownerId, epoch }) => ({ consumer, ownerId, epoch }))
    .sort((a, b) => (a.consumer < b.consumer ? -1 : 1));
}

/** Until the worker has reported for so long, by the database's clock, since it registered. */
async function untilReportedFor({ sql }: Parts, workerId: string, durationMs: number): Promise<void> {
  const lastHeard = async () => {
    const [row] = await sql<{ at: number }[]>`
      select (extract(epoch from heartbeat_at) * 1000)::float8 as at from worker_nodes where worker_id = ${workerId}`;
    return row?.at ?? Number.NaN;
  };
  const begin = await lastHeard();
  await vi.waitFor(async () => expect(await lastHeard()).toBeGreaterThan(begin + durationMs), {
    timeout: durationMs + 20_000,
    interval: 50,
  });
}
