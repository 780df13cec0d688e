import { afterEach, beforeEach, expect, inject, it, vi } from "vitest";
import { openParts, type Parts, reached } from "./support/open-parts.ts";
import { compareTrail, createTrail, trailConsumer } from "./support/trail.ts";

let parts: Parts;

beforeEach(async () => {
  parts = await openParts(inject("postgresUrl"));
  await createTrail(parts.sql);
});
afterEach(() => parts[Symbol.asyncDispose]());

/** A worker of a release with these consumers. */
const start = (...names: readonly string[]) =>
  parts.start({
    consumers: names.map((name) => trailConsumer(name)),
    rebalanceIntervalMs: 100,
    heartbeatIntervalMs: 200,
    heartbeatTimeoutMs: 5_000,
  });

const append = () => parts.store.append([{ aggregateType: "Order", aggregateId: "o-1", type: "Changed", payload: {} }]);

const ownerOf = async (consumer: string) => (await parts.store.readCheckpoints([consumer]))[0]?.ownerId;

it("A consumer that only the new release has is never given to a worker of the old one, which leads meanwhile", async () => {
  const old = start("orders");
  await old.recorded.first("leader:acquired");
  const fresh = start("invoices", "orders");
  await append();
  await reached(fresh, parts.store, ["invoices"], 1n);
  await vi.waitFor(async () => expect(await ownerOf("orders")).toBe(old.worker.id), { timeout: 10_000 });
  expect(await ownerOf("invoices")).toBe(fresh.worker.id);

  // The new release is rolled back: its consumer waits, and nobody runs in circles about it.
  await fresh.worker.stop();
  await append();
  await reached(old, parts.store, ["orders"], 2n);
  expect(await ownerOf("invoices")).toBeNull();
  expect(await parts.sql`select consumer_name, worker_id from consumer_assignments`).toEqual([
    { consumer_name: "orders", worker_id: old.worker.id },
  ]);
  expect(old.worker.health()).toMatchObject({ leads: true, ready: true });

  // And deployed again: it goes on where it stood.
  const again = start("invoices", "orders");
  await reached(again, parts.store, ["invoices"], 2n);

  for (const consumer of ["invoices", "orders"]) {
    expect(await compareTrail(parts.sql, consumer)).toMatchObject({ delivered: 2, lost: 0, duplicates: 0 });
  }
  expect(old.recorded.of("consumer:acquired").map(({ consumer }) => consumer)).not.toContain("invoices");
});
