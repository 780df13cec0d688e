import { afterEach, beforeEach, expect, inject, it, vi } from "vitest";
import { openParts, type Parts } from "./support/open-parts.ts";
import { compareTrail, createTrail } from "./support/trail.ts";
import { startWorkerProcess, type WorkerProcess } from "./support/worker-process.ts";

const consumers = ["Analytics", "Billing", "Email", "Orders"];
const AGGREGATES = 40;
const VERSIONS = 200;

let parts: Parts;
let workers: WorkerProcess[] = [];

beforeEach(async () => {
  parts = await openParts(inject("postgresUrl"));
  await createTrail(parts.sql);
});
afterEach(async () => {
  await Promise.all(workers.map((worker) => worker.stop()));
  await parts[Symbol.asyncDispose]();
});

/** Pairs of an aggregate's events that a consumer handled in another order than that of their versions, or skipping one. */
async function misplaced(consumer: string): Promise<number> {
  const [row] = await parts.sql<{ count: number }[]>`
    select count(*)::int as count from (
      select aggregate_version as version,
        lag(aggregate_version, 1, 0) over (partition by aggregate_type, aggregate_id order by seq) as before
      from trail join events on global_position = position where consumer = ${consumer}
    ) as handled where version <> before + 1`;
  return row?.count ?? -1;
}

it("kill -9 in the middle of a catch-up keeps each aggregate's events in order, whoever goes on", {
  timeout: 60_000,
}, async () => {
  const event = (aggregate: number) => ({
    aggregateType: "Order",
    aggregateId: `o-${aggregate}`,
    type: "Changed",
    payload: {},
  });
  for (let round = 0; round < VERSIONS / 10; round++) {
    await Promise.all(
      Array.from({ length: AGGREGATES }, (_, aggregate) => parts.store.append(Array(10).fill(event(aggregate)))),
    );
  }
  const last = await parts.store.latestPosition();
  const behind = async () => {
    const checkpoints = await parts.store.readCheckpoints(consumers);
    return checkpoints.filter(({ position }) => position > 0n && position < last).map(({ ownerId }) => ownerId);
  };

  workers = await Promise.all([1, 2, 3].map(() => startWorkerProcess(parts.url, "poll", consumers)));
  let kills = 0;
  while (workers.length > 1) {
    const victim = await vi.waitFor(
      async () => {
        const owners = await behind();
        const busy = workers.find(({ workerId }) => owners.includes(workerId));
        if (!busy) throw new Error("Nobody is catching up yet.");
        return busy;
      },
      { timeout: 20_000, interval: 5 },
    );
    await victim.kill();
    workers.splice(workers.indexOf(victim), 1);
    kills += 1;
    if ((await behind()).length === 0) break;
  }
  await vi.waitFor(
    async () => {
      for (const { position } of await parts.store.readCheckpoints(consumers)) expect(position).toBe(last);
    },
    { timeout: 30_000, interval: 50 },
  );

  expect(kills).toBeGreaterThan(0);
  for (const consumer of consumers) {
    const all = { committed: AGGREGATES * VERSIONS, delivered: AGGREGATES * VERSIONS };
    expect(await compareTrail(parts.sql, consumer)).toEqual({ ...all, lost: 0, duplicates: 0, outOfOrder: 0 });
    expect(await misplaced(consumer)).toBe(0);
  }
});
