import { describe, expect, it } from "vitest";
import { checkInteger, checkName } from "./validate.ts";

describe("checkInteger", () => {
  it.each([1, 7, 2 ** 31 - 1])("gives %d back", (value) => {
    expect(checkInteger("intervalMs", value)).toBe(value);
  });

  it.each([0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 31, "5", 5n, null, undefined, {}])(
    "refuses %o",
    (value) => {
      expect(() => checkInteger("intervalMs", value)).toThrow(expect.objectContaining({ code: "PUP_INVALID_OPTION" }));
    },
  );

  it("says what it expected and what it found", () => {
    expect(() => checkInteger("batchSize", 0, { max: 100 })).toThrow(
      "Expected `batchSize` to be a whole number from 1 to 100, got 0.",
    );
    expect(() => checkInteger("batchSize", "5")).toThrow(/got "5"\.$/);
  });

  it("takes other bounds, both inclusive", () => {
    expect(checkInteger("batchPauseMs", 0, { min: 0 })).toBe(0);
    expect(checkInteger("batchSize", 3, { max: 3 })).toBe(3);
    expect(() => checkInteger("batchSize", 4, { max: 3 })).toThrow();
  });
});

describe("checkName", () => {
  it.each(["a", "orders.v1", "Zażółć 🐶", "x".repeat(63)])("gives %j back", (name) => {
    expect(checkName("channel", name, 63)).toBe(name);
  });

  it.each(["", "a\0b", "x".repeat(64), "ä".repeat(32), 7, null, undefined])("refuses %j", (name) => {
    expect(() => checkName("channel", name, 63)).toThrow(expect.objectContaining({ code: "PUP_INVALID_OPTION" }));
  });

  it("shows the beginning of a long name only", () => {
    expect(() => checkName("channel", "x".repeat(1_000), 63)).toThrow(/got "x{80}…"\.$/);
  });
});
