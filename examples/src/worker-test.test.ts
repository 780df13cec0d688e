// A fleet of workers under test: without a database, and without waiting for real time to pass.
import { createWorker } from "@pup/coordinator";
import { defineConsumer } from "@pup/core";
import { createHarness, type MemoryTransaction } from "@pup/testing";
import { expect, it } from "vitest";
import "@pup/testing/vitest";

const consumers = ["orders.v1", "invoices.v1"].map((name) =>
  defineConsumer<MemoryTransaction>({
    name,
    handle: ({ aggregateId, type }, { tx }) => tx.table(name).set(aggregateId, type),
  }),
);
const orderPlaced = (id: string) => ({ aggregateType: "Order", aggregateId: id, type: "OrderPlaced", payload: {} });

it("goes on when a worker is killed", async () => {
  await using harness = createHarness({ createWorker, consumers, workers: 3 });
  await harness.append([orderPlaced("o-1")]);
  await harness.settle();

  harness.workers.find(({ running }) => running.includes("orders.v1"))?.kill();
  await harness.append([orderPlaced("o-2")]);
  await harness.settle();

  expect([...harness.store.table("orders.v1").keys()]).toEqual(["o-1", "o-2"]);
  expect(harness.recorded).toHaveEmitted("consumer:acquired", { consumer: "orders.v1", epoch: 2 });
});
