import { createMemoryStore } from "@pup/testing";
import { describe, expect, it } from "vitest";
import { type Decision, moveOrderOn, placeOrder } from "./decide.ts";

const store = createMemoryStore();
const order = { aggregateType: "Order", aggregateId: "order-1" };
const step = { cancel: false, carrier: "Swift" };

async function append({ events, expectedVersion }: Decision) {
  await store.append(events, { expectedVersion });
  return store.readStream(order);
}

describe("An order", () => {
  it("is placed, paid, shipped, and then over", async () => {
    let stream = await append(placeOrder("order-1", "customer-1", [{ productId: "p", quantity: 2, priceCents: 150 }]));
    expect(stream.events[0]?.payload).toMatchObject({ totalCents: 300, lines: [{ productId: "p", quantity: 2 }] });

    stream = await append(moveOrderOn(stream, step) as Decision);
    stream = await append(moveOrderOn(stream, step) as Decision);

    expect(stream.events.map(({ type }) => type)).toEqual(["OrderPlaced", "OrderPaid", "OrderShipped"]);
    expect(moveOrderOn(stream, step)).toBeNull();
    expect(moveOrderOn(stream, { ...step, cancel: true })).toBeNull();
  });
});
