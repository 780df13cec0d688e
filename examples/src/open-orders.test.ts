// The consumer's logic, in memory: milliseconds, and no database.
import { createWorker } from "@pup/coordinator";
import { createGiven, type MemoryTransaction } from "@pup/testing";
import { expect, it } from "vitest";
import { type OpenOrders, openOrders } from "./open-orders.ts";

const given = createGiven({ createWorker });

const ordersInMemory = (tx: MemoryTransaction): OpenOrders => ({
  add: (id) => tx.table("open").set(id, {}),
  remove: (id) => tx.table("open").delete(id),
  list: async () => [...(await tx.table("open").list()).keys()].sort(),
});

const event = (aggregateId: string, type: string) => ({ aggregateType: "Order", aggregateId, type, payload: {} });

it("lists an order until it is shipped", () =>
  given([event("o-1", "OrderPlaced"), event("o-2", "OrderPlaced")])
    .when(openOrders(ordersInMemory))
    .when([event("o-1", "OrderShipped")])
    .then(async ({ store }) => {
      expect(await store.transaction((tx) => ordersInMemory(tx).list())).toEqual(["o-2"]);
    }));
