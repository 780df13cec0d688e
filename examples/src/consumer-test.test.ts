import { createWorker } from "@pup/coordinator";
import { defineConsumer } from "@pup/core";
import { createGiven, type MemoryTransaction } from "@pup/testing";
import { expect, it } from "vitest";

const given = createGiven({ createWorker });

const openOrders = defineConsumer<MemoryTransaction>({
  name: "open-orders.v1",
  handle: ({ type, aggregateId }, { tx }) => tx.table("open").set(aggregateId, type === "OrderPlaced"),
});
const event = (type: string) => ({ aggregateType: "Order", aggregateId: "o-1", type, payload: {} });

it("closes an order when it is shipped", () =>
  given([event("OrderPlaced")])
    .when(openOrders)
    .when([event("OrderShipped")])
    .then(({ store }) => expect(store.table("open").get("o-1")).toBe(false)));
