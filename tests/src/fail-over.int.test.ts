import { afterEach, beforeEach, describe, expect, inject, it, vi } from "vitest";
import { openParts, type Parts } from "./support/open-parts.ts";
import { compareTrail, createTrail } from "./support/trail.ts";
import { startWorkerProcess, type WorkerProcess } from "./support/worker-process.ts";

const consumers = ["Analytics", "Billing", "Email", "Inventory", "Orders", "Shipping"];

// The time in which the work goes on is a promise, but no timing decides a test on a noisy machine: the limit here is
// the promised one with room to spare, far below the heartbeat timeout that would decide without the liveness lock.
const limitMs = { "notify follower": 1_000, "notify leader": 2_000, "poll follower": 2_000, "poll leader": 3_000 };
const ROOM_MS = 3_000;

describe("kill -9 of a worker process, at default options", () => {
  let parts: Parts;
  let workers: WorkerProcess[];

  beforeEach(async () => {
    parts = await openParts(inject("postgresUrl"));
    await createTrail(parts.sql);
    workers = [];
  });
  afterEach(async () => {
    await Promise.all(workers.map((worker) => worker.stop()));
    await parts[Symbol.asyncDispose]();
  });

  const assignments = async () => {
    const rows = await parts.sql<{ worker_id: string; consumers: string[] }[]>`
      select owner_id as worker_id, array_to_json(array_agg(consumer_name))::json as consumers
      from consumer_checkpoints where owner_id is not null group by owner_id`;
    return new Map(rows.map((row) => [row.worker_id, row.consumers]));
  };

  it.each(["notify", "poll"] as const)(
    "costs neither events nor much time with %s",
    { timeout: 60_000 },
    async (dispatch) => {
      workers = await Promise.all([1, 2, 3].map(() => startWorkerProcess(parts.url, dispatch, consumers)));
      let appended = 0;
      const append = async () => {
        await parts.store.append([
          { aggregateType: "Order", aggregateId: `o-${appended++}`, type: "Placed", payload: {} },
        ]);
      };

      for (const role of ["follower", "leader"] as const) {
        const share = consumers.length / workers.length;
        await vi.waitFor(
          async () => {
            const shares = [...(await assignments()).values()].map(({ length }) => length);
            expect(shares).toEqual(workers.map(() => share));
          },
          { timeout: 15_000, interval: 20 },
        );
        const victim = workers.find(({ leads }) => leads === (role === "leader"));
        if (!victim) throw new Error(`No worker is a ${role}.`);
        const orphans = (await assignments()).get(victim.workerId) ?? [];

        workers.splice(workers.indexOf(victim), 1);
        await victim.kill();
        const killedAt = performance.now();
        await append();
        const position = await parts.store.latestPosition();
        await vi.waitFor(
          async () => {
            const checkpoints = await parts.store.readCheckpoints(orphans);
            for (const checkpoint of checkpoints) expect(checkpoint.position).toBe(position);
          },
          { timeout: 40_000, interval: 5 },
        );
        expect(performance.now() - killedAt).toBeLessThan(limitMs[`${dispatch} ${role}`] + ROOM_MS);
      }

      for (const consumer of consumers) {
        await vi.waitFor(async () => {
          expect(await compareTrail(parts.sql, consumer)).toEqual({
            committed: appended,
            delivered: appended,
            lost: 0,
            duplicates: 0,
            outOfOrder: 0,
          });
        });
      }
    },
  );
});
