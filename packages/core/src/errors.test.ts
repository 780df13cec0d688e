import { describe, expect, it } from "vitest";
import * as core from "./index.ts";

describe("isPupError", () => {
  it("knows an error of pup's by its code, whichever copy of the package threw it", () => {
    class Foreign extends Error {
      readonly code = "PUP_FENCED";
    }

    expect(core.isPupError(new core.FencedError("orders", 1))).toBe(true);
    expect(core.isPupError(new Foreign())).toBe(true);
  });

  it.each([
    new Error("x"),
    Object.assign(new Error("x"), { code: "ECONNRESET" }),
    { code: "PUP_FENCED" },
    "PUP_FENCED",
    null,
    undefined,
  ])("takes %o for none", (error) => {
    expect(core.isPupError(error)).toBe(false);
  });
});

describe("errors", () => {
  it("carry the facts, not only words", () => {
    const error = new core.ConcurrencyConflictError({ aggregateType: "Order", aggregateId: "o-1" }, 3, 5);

    expect(error).toMatchObject({ aggregateType: "Order", aggregateId: "o-1", expected: 3, actual: 5 });
    expect(error.message).toBe('Expected aggregate "Order" "o-1" to have version 3, found version 5.');
  });

  it("say what was expected when a stream had to be empty", () => {
    const aggregate = { aggregateType: "Order", aggregateId: "o-1" };

    for (const expected of ["no-stream", 0] as const) {
      expect(new core.ConcurrencyConflictError(aggregate, expected, 5).message).toContain("to have no events");
    }
  });

  it("have codes of their own", () => {
    const errors = [
      new core.BatchTimeoutError("orders", 5),
      new core.ConcurrencyConflictError({ aggregateType: "Order", aggregateId: "o-1" }, 3, 5),
      new core.DuplicateEventIdError(["a"]),
      new core.FencedError("orders", 1),
      new core.HandlerRejectionError("orders", undefined),
      new core.InvalidEventError("x"),
      new core.InvalidOptionError("x"),
      new core.InvalidStateError("x"),
      new core.MixedAggregatesError(
        { aggregateType: "A", aggregateId: "1" },
        { aggregateType: "B", aggregateId: "1" },
        1,
      ),
      new core.NoEventsError(),
      new core.PayloadNotSerializableError(0, "payload", "a bigint"),
      new core.PayloadTooLargeError("x"),
      new core.SchemaMissingError("x"),
      new core.SchemaTooNewError("x"),
      new core.StartAbortedError("x"),
      new core.TransactionHijackedError("x"),
      new core.UnsupportedError("x"),
    ];

    expect(errors.every((error) => core.isPupError(error) && error instanceof core.PupError)).toBe(true);
    expect(new Set(errors.map(({ code }) => code)).size).toBe(errors.length);
    for (const error of errors) expect(error.name).toBe(error.constructor.name);
  });
});
