import { deepEqual } from "node:assert/strict";
import { test } from "node:test";
import { createWorker } from "@pup/coordinator";
import { defineConsumer } from "@pup/core";
import { createGiven } from "@pup/testing";

const given = createGiven({ createWorker });

test("an order is open until it is shipped", () => {
  const openOrders = defineConsumer({
    name: "open-orders.v1",
    handle: ({ type, aggregateId }, { tx }) => tx.table("open").set(aggregateId, type === "OrderPlaced"),
  });
  const order = { aggregateType: "Order", aggregateId: "o-1", payload: {} };

  return given([{ ...order, type: "OrderPlaced" }])
    .when(openOrders)
    .when([{ ...order, type: "OrderShipped" }])
    .then(({ store }) => deepEqual([...store.table("open")], [["o-1", false]]));
});
