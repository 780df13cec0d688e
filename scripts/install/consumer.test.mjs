import { deepEqual } from "node:assert/strict";
import { test } from "node:test";
import { defineConsumer } from "@pup/core";
import { runConsumer } from "@pup/testing";

test("an order is open until it is shipped", async () => {
  const openOrders = defineConsumer({
    name: "open-orders.v1",
    handle: ({ type, aggregateId }, { tx }) => tx.table("open").set(aggregateId, type === "OrderPlaced"),
  });
  const order = { aggregateType: "Order", aggregateId: "o-1", payload: {} };

  const run = await runConsumer(openOrders, [
    { ...order, type: "OrderPlaced" },
    { ...order, type: "OrderShipped" },
  ]);

  deepEqual([...run.table("open")], [["o-1", false]]);
});
