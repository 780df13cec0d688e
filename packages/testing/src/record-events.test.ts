import { createEvents } from "@pup/core";
import { describe, expect, it } from "vitest";
import { recordEvents } from "./record-events.ts";

type Events = { "order:placed": { orderId: string }; "order:paid": { amount: number } };

describe("recordEvents", () => {
  const record = () => {
    const events = createEvents<Events>();
    return { events, recorded: recordEvents<Events>(events) };
  };

  it("keeps every event, in order", () => {
    const { events, recorded } = record();
    events.emit("order:placed", { orderId: "o-1" });
    events.emit("order:paid", { amount: 1 });
    events.emit("order:paid", { amount: 2 });

    expect(recorded.all).toEqual([
      { name: "order:placed", payload: { orderId: "o-1" } },
      { name: "order:paid", payload: { amount: 1 } },
      { name: "order:paid", payload: { amount: 2 } },
    ]);
    expect(recorded.of("order:paid")).toEqual([{ amount: 1 }, { amount: 2 }]);
  });

  it("waits for the next event that fits; those before do not count", async () => {
    const { events, recorded } = record();
    events.emit("order:paid", { amount: 10 });
    const next = recorded.next("order:paid", ({ amount }) => amount > 5);
    events.emit("order:placed", { orderId: "o-1" });
    events.emit("order:paid", { amount: 1 });
    events.emit("order:paid", { amount: 7 });
    events.emit("order:paid", { amount: 8 });

    expect(await next).toEqual({ amount: 7 });
  });

  it("finds the first event that fits; those before count too", async () => {
    const { events, recorded } = record();
    const later = recorded.first("order:placed");
    events.emit("order:paid", { amount: 10 });
    events.emit("order:placed", { orderId: "o-1" });

    expect(await recorded.first("order:paid")).toEqual({ amount: 10 });
    expect(await later).toEqual({ orderId: "o-1" });
  });

  it("passes on what a condition throws", async () => {
    const { events, recorded } = record();
    const next = recorded.next("order:paid", () => {
      throw new Error("condition");
    });
    events.emit("order:paid", { amount: 1 });

    await expect(next).rejects.toThrow("condition");
  });

  it("forgets and ends when told to", () => {
    const { events, recorded } = record();
    events.emit("order:paid", { amount: 1 });
    recorded.clear();
    expect(recorded.all).toEqual([]);

    recorded.stop();
    events.emit("order:paid", { amount: 2 });
    expect(recorded.all).toEqual([]);
  });
});
