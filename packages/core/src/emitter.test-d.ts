import { describe, expectTypeOf, it } from "vitest";
import { createEvents, type EventSource } from "./emitter.ts";

type Events = { "order:placed": { orderId: string }; "order:paid": { amount: number } };

describe("createEvents", () => {
  const events = createEvents<Events>();

  it("knows the payload of each name", () => {
    events.on("order:placed", (payload) => expectTypeOf(payload).toEqualTypeOf<{ orderId: string }>());
    events.emit("order:paid", { amount: 3 });
  });

  it("refuses names and payloads that are not in the map", () => {
    // @ts-expect-error: no such name
    events.on("order:burnt", () => undefined);
    // @ts-expect-error: the payload of another name
    events.emit("order:paid", { orderId: "o-1" });
    // @ts-expect-error: no payload
    events.emit("order:paid");
  });

  it("lets a listener return what it likes, and gives its undo", () => {
    expectTypeOf(events.on("order:placed", async () => 7)).toEqualTypeOf<() => void>();
  });

  it("keeps the emitting half from who gets the listening one", () => {
    const source: EventSource<Events> = events;
    // @ts-expect-error: an EventSource cannot emit
    source.emit("order:paid", { amount: 3 });
  });

  it("gives who listens to any event one of the names, and one of the payloads", () => {
    events.onAny((name, payload) => {
      const anyName: keyof Events = name;
      const anyPayload: Events[keyof Events] = payload;
      return [anyName, anyPayload];
    });
  });
});
