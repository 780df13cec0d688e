import { describe, expect, it } from "vitest";
import { sampleEvent } from "../sample-events.ts";
import type { StoreSetup } from "../store-setup.ts";
import { idOf, orderActions } from "./order-actions.ts";

/** Appends of what cannot be stored. */
export function badEventCases<Tx>(setup: () => StoreSetup<Tx>): void {
  const { append, readOrder } = orderActions(setup);

  describe("append of what cannot be stored", () => {
    it("refuses an empty list", async () => {
      await expect(append([])).rejects.toMatchObject({ code: "PUP_NO_EVENTS" });
    });

    it("refuses events of two aggregates", async () => {
      const events = [sampleEvent(), sampleEvent({ aggregateId: "order-2" })];

      await expect(append(events)).rejects.toMatchObject({ code: "PUP_MIXED_AGGREGATES" });
      expect(await readOrder()).toEqual([]);
    });

    it.each([
      ["a bigint", { a: { b: 1n } }, "payload.a.b"],
      ["NaN", { lines: [{ price: Number.NaN }] }, "payload.lines[0].price"],
      ["a function", { f: () => 1 }, "payload.f"],
      ["a NUL character", { text: "a\0b" }, "payload.text"],
      ["half of a surrogate pair", { text: "\ud83d" }, "payload.text"],
      ["nothing at all", undefined, "payload"],
      ["undefined in a list", [1, undefined], "payload[1]"],
      ["an invalid date", { at: new Date(Number.NaN) }, "payload.at"],
      ["a map", { map: new Map([["a", 1]]) }, "payload.map"],
      ["a cycle", cycle(), "payload.self"],
    ])("refuses a payload with %s, and says where", async (_, payload, path) => {
      const events = [sampleEvent(), sampleEvent({ payload })];

      await expect(append(events)).rejects.toMatchObject({ code: "PUP_PAYLOAD_NOT_SERIALIZABLE", eventIndex: 1, path });
      expect(await readOrder()).toEqual([]);
    });

    it("refuses metadata as it refuses payloads", async () => {
      await expect(append([sampleEvent({ metadata: { at: { count: 1n } } })])).rejects.toMatchObject({
        code: "PUP_PAYLOAD_NOT_SERIALIZABLE",
        path: "metadata.at.count",
      });
    });

    it.each([
      ["an empty aggregate type", { aggregateType: "" }],
      ["an empty aggregate id", { aggregateId: "" }],
      ["an empty type", { type: "" }],
      ["a type with NUL", { type: "a\0b" }],
      ["an endless aggregate id", { aggregateId: "x".repeat(10_000) }],
      ["an id that is no UUID", { id: "order-placed-1" }],
      ["version 0", { version: 0 }],
      ["version 1.5", { version: 1.5 }],
      ["a version beyond 32 bits", { version: 2 ** 31 }],
      ["a list as metadata", { metadata: [] as never }],
      ["a number as correlation id", { correlationId: 7 as never }],
    ])("refuses an event with %s", async (_, event) => {
      await expect(append([sampleEvent(event)])).rejects.toMatchObject({ code: "PUP_INVALID_EVENT" });
    });

    it("refuses two events with the same id", async () => {
      const events = [sampleEvent({ id: idOf(1) }), sampleEvent({ id: idOf(1) })];

      await expect(append(events)).rejects.toMatchObject({ code: "PUP_INVALID_EVENT" });
    });
  });
}

function cycle(): object {
  const payload: { self?: object } = {};
  payload.self = payload;
  return payload;
}
