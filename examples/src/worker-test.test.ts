// A whole worker under test: without a database, and without waiting for real time to pass.
import { createWorker } from "@pup/coordinator";
import { defineConsumer } from "@pup/core";
import {
  createManualClock,
  createMemoryDispatcher,
  createMemoryStore,
  type MemoryTransaction,
  recordEvents,
} from "@pup/testing";
import { expect, it } from "vitest";

const orders = defineConsumer<MemoryTransaction>({
  name: "orders.v1",
  handle: ({ aggregateId, type }, { tx }) => tx.table("orders").set(aggregateId, type),
});
const orderPlaced = { aggregateType: "Order", aggregateId: "o-1", type: "OrderPlaced", payload: {} };

it("handles an event while the worker runs", async () => {
  const clock = createManualClock();
  const store = createMemoryStore({ clock });
  const worker = createWorker({ store, clock, dispatcher: createMemoryDispatcher(store), consumers: [orders] });
  const recorded = recordEvents(worker.events);

  const running = worker.start();
  const committed = recorded.next("batch:committed");
  await store.append([orderPlaced]);
  await clock.runUntil(committed);
  await clock.runUntil(worker.stop());
  await running;

  expect(store.table("orders").get("o-1")).toBe("OrderPlaced");
  expect(clock.pending).toBe(0);
});
