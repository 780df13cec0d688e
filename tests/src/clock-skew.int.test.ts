import { afterEach, beforeEach, expect, inject, it, vi } from "vitest";
import { openParts, type Parts } from "./support/open-parts.ts";
import { compareTrail, createTrail } from "./support/trail.ts";
import { startWorkerProcess, type WorkerProcess } from "./support/worker-process.ts";

const HOUR_MS = 3_600_000;
const consumers = ["Analytics", "Billing", "Email", "Inventory", "Orders", "Shipping"];

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

it("Workers whose clocks are an hour off neither count as dead nor count others as dead", {
  timeout: 60_000,
}, async () => {
  workers = await Promise.all(
    [-HOUR_MS, 0, HOUR_MS].map((clockSkewMs) => startWorkerProcess(parts.url, "poll", consumers, { clockSkewMs })),
  );
  const owners = () => parts.sql<{ owner_id: string; consumer_name: string; epoch: string }[]>`
    select owner_id, consumer_name, epoch from consumer_checkpoints where owner_id is not null order by consumer_name`;
  await vi.waitFor(
    async () => {
      const shares = Map.groupBy(await owners(), ({ owner_id }) => owner_id);
      expect([...shares.values()].map(({ length }) => length)).toEqual([2, 2, 2]);
    },
    { timeout: 15_000, interval: 50 },
  );

  // The next heartbeat of each, and what the leader makes of it.
  const settled = await owners();
  const heartbeats = () => parts.sql<{ worker_id: string; heartbeat_at: Date; age: number }[]>`
    select worker_id, heartbeat_at, date_part('epoch', clock_timestamp() - heartbeat_at) as age from worker_nodes`;
  const before = new Map((await heartbeats()).map(({ worker_id, heartbeat_at }) => [worker_id, heartbeat_at]));
  await vi.waitFor(
    async () => {
      const now = await heartbeats();
      expect(now.filter(({ worker_id, heartbeat_at }) => heartbeat_at > (before.get(worker_id) ?? 0))).toHaveLength(3);
      for (const { age } of now) expect(Math.abs(age)).toBeLessThan(30);
    },
    { timeout: 15_000, interval: 50 },
  );
  await parts.store.append([{ aggregateType: "Order", aggregateId: "o-1", type: "Placed", payload: {} }]);
  for (const consumer of consumers) {
    await vi.waitFor(
      async () => expect(await compareTrail(parts.sql, consumer)).toMatchObject({ delivered: 1, duplicates: 0 }),
      { timeout: 10_000 },
    );
  }

  // Same owners, same epochs: nobody was struck off, and nothing was taken over.
  expect(await owners()).toEqual(settled);
});
