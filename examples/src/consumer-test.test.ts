import { defineConsumer } from "@pup/core";
import { type MemoryTransaction, runConsumer } from "@pup/testing";
import { expect, it } from "vitest";

const openOrders = defineConsumer<MemoryTransaction>({
  name: "open-orders.v1",
  handle: ({ type, aggregateId }, { tx }) => tx.table("open").set(aggregateId, type === "OrderPlaced"),
});

it("closes an order when it is shipped", async () => {
  const order = { aggregateType: "Order", aggregateId: "o-1", payload: {} };
  const events = ["OrderPlaced", "OrderShipped"].map((type) => ({ ...order, type }));

  const run = await runConsumer(openOrders, events);

  expect(run.error).toBeUndefined();
  expect(run.table("open").get("o-1")).toBe(false);
});
