import { describe, expect, it } from "vitest";
import { checkNewEvents, resolveExpectedVersion } from "./check-new-events.ts";
import type { NewEvent } from "./event.ts";

const order: NewEvent = { aggregateType: "Order", aggregateId: "o-1", type: "OrderPlaced", payload: {} };

describe("checkNewEvents", () => {
  const check = (...events: Partial<NewEvent>[]) => checkNewEvents(events.map((event) => ({ ...order, ...event })));

  it("gives the aggregate of the events", () => {
    expect(check({}, { type: "OrderPaid" })).toEqual({ aggregateType: "Order", aggregateId: "o-1" });
  });

  it("takes every field at its longest", () => {
    const id = "0190ABCD-0000-7000-8000-00000000000a";
    const long = "x".repeat(1_024);

    check({
      aggregateType: "x".repeat(255),
      aggregateId: long,
      type: "x".repeat(255),
      id,
      version: 2 ** 31 - 1,
      traceId: long,
      correlationId: "",
      causationId: null,
      metadata: {},
    });
  });

  it.each([
    [
      "an empty aggregate type",
      { aggregateType: "" },
      /`aggregateType` of event 1 to be a text of 1 to 255 bytes.*got 0 bytes/,
    ],
    ["a long aggregate type", { aggregateType: "ä".repeat(128) }, /got 256 bytes/],
    ["an aggregate id that is none", { aggregateId: 5 as never }, /`aggregateId` of event 1 .* got number/],
    ["a type with NUL", { type: "\0" }, /`type` of event 1/],
    ["a trace id with half a character", { traceId: "\ud83d" }, /`traceId` of event 1/],
    ["an id that is no UUID", { id: "1" }, /`id` of event 1 to be a UUID, got "1"/],
    ["an id in braces", { id: "{0190abcd-0000-7000-8000-00000000000a}" }, /to be a UUID/],
    ["version 0", { version: 0 }, /`version` of event 1 to be a whole number from 1 to 2147483647, got 0/],
    ["metadata that is text", { metadata: "x" as never }, /`metadata` of event 1 to be an object or null, got string/],
    ["metadata that is a list", { metadata: [] as never }, /got a list/],
  ])("refuses %s, and says which event it is", (_, event, message) => {
    expect(() => check({}, event)).toThrow(
      expect.objectContaining({ code: "PUP_INVALID_EVENT", message: expect.stringMatching(message) }),
    );
  });

  it("refuses an empty list", () => {
    expect(() => check()).toThrow(expect.objectContaining({ code: "PUP_NO_EVENTS" }));
  });

  it("refuses a second aggregate, and names both", () => {
    expect(() => check({}, { aggregateId: "o-2" })).toThrow(
      /all events of one append to belong to aggregate "Order" "o-1", but event 1 belongs to aggregate "Order" "o-2"/,
    );
  });

  it("refuses two events with one id, whatever its case", () => {
    const id = "0190abcd-0000-7000-8000-00000000000a";

    expect(() => check({ id }, {}, { id: id.toUpperCase() })).toThrow(/events 0 and 2 share 0190abcd/);
  });

  it("refuses what JSON cannot carry, in payload and metadata", () => {
    expect(() => check({}, { payload: { a: 1n } })).toThrow("Expected JSON in `payload.a` of event 1, got a bigint.");
    expect(() => check({ metadata: { a: [() => 1] } })).toThrow(
      "Expected JSON in `metadata.a[0]` of event 0, got a function.",
    );
  });
});

describe("resolveExpectedVersion", () => {
  it.each([
    ["any", null],
    [undefined, null],
    ["no-stream", 0],
    [0, 0],
    [7, 7],
  ] as const)("takes %j for %j", (expected, resolved) => {
    expect(resolveExpectedVersion(expected)).toBe(resolved);
  });

  it.each([-1, 1.5, Number.NaN, 2 ** 31, "latest", "5", null, 5n])("refuses %s", (expected) => {
    expect(() => resolveExpectedVersion(expected as never)).toThrow(
      expect.objectContaining({ code: "PUP_INVALID_OPTION" }),
    );
  });
});
