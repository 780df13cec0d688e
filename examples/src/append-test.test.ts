// Code that appends and reads, tested on a store in memory.
import type { EventStore, NewEvent } from "@pup/core";
import { createMemoryStore } from "@pup/testing";
import { describe, expect, it } from "vitest";

const order = { aggregateType: "Order", aggregateId: "o-1" };
const event = (type: string, id?: string): NewEvent => ({ ...order, type, payload: {}, ...(id && { id }) });

/** What is under test: takes whatever store it is given. */
async function ship(store: EventStore, requestId: string): Promise<boolean> {
  const { events, version } = await store.readStream(order);
  if (events.some(({ id }) => id === requestId)) return true;
  if (events.at(-1)?.type !== "OrderPlaced") return false;
  await store.append([event("OrderShipped", requestId)], { expectedVersion: version });
  return true;
}

const request = "01890000-0000-7000-8000-000000000001";

describe("Shipping an order", () => {
  it("happens once, however often it is asked for", async () => {
    const store = createMemoryStore();
    await store.append([event("OrderPlaced")], { expectedVersion: "no-stream" });

    expect(await ship(store, request)).toBe(true);
    expect(await ship(store, request)).toBe(true);

    expect((await store.readStream(order)).events.map(({ type }) => type)).toEqual(["OrderPlaced", "OrderShipped"]);
  });

  it("is refused when somebody else was faster", async () => {
    const store = createMemoryStore();
    await store.append([event("OrderPlaced")]);
    // In between reading and appending, the order is cancelled by another process.
    const slow: typeof store = {
      ...store,
      async readStream(...args) {
        const stream = await store.readStream(...args);
        await store.append([event("OrderCancelled")]);
        return stream;
      },
    };

    await expect(ship(slow, request)).rejects.toMatchObject({ code: "PUP_CONCURRENCY_CONFLICT", actual: 2 });
  });

  it("leaves nothing behind when the transaction around it fails", async () => {
    const store = createMemoryStore();
    const failed = store.transaction(async (tx) => {
      await store.append([event("OrderPlaced")], { tx });
      await tx.table("invoices").set("o-1", { cents: 1_200 });
      throw new Error("the card was refused");
    });

    await expect(failed).rejects.toThrow("the card was refused");

    expect((await store.readStream(order)).isEmpty).toBe(true);
    expect(store.table("invoices").size).toBe(0);
  });
});
