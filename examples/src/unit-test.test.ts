// A consumer under test without a database. What it does with events is here; where rows go is handed to it.
import { createWorker } from "@pup/coordinator";
import { defineConsumer } from "@pup/core";
import { createMemoryDispatcher, createMemoryStore, type MemoryTransaction } from "@pup/testing";
import { describe, expect, it } from "vitest";

/** In production `save` is an upsert through `tx.sql`. */
function openOrders<Tx>(save: (tx: Tx, orderId: string, isOpen: boolean) => Promise<void>) {
  return defineConsumer<Tx>({
    name: "open-orders.v1",
    eventTypes: ["OrderPlaced", "OrderShipped"],
    handle: ({ type, aggregateId }, { tx }) => save(tx, aggregateId, type === "OrderPlaced"),
  });
}

describe("The list of open orders", () => {
  it("holds an order until it is shipped", async () => {
    const store = createMemoryStore();
    const event = (aggregateId: string, type: string) => ({ aggregateType: "Order", aggregateId, type, payload: {} });
    await store.append([event("o-1", "OrderPlaced"), event("o-1", "OrderShipped")]);
    await store.append([event("o-2", "OrderPlaced")]);

    const consumer = openOrders<MemoryTransaction>((tx, orderId, isOpen) => tx.table("open").set(orderId, isOpen));
    await createWorker({ store, dispatcher: createMemoryDispatcher(store), consumers: [consumer] }).runOnce();

    expect(store.table("open")).toEqual(
      new Map([
        ["o-1", false],
        ["o-2", true],
      ]),
    );
  });
});
