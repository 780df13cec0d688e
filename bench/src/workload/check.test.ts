import { describe, expect, it } from "vitest";
import { check } from "./check.ts";

describe("check", () => {
  it("lets pass what is all there", () => {
    expect(() => check("events", 7, 7)).not.toThrow();
  });

  it.each([
    ["less than there should be", 6, 7],
    ["more than there should be", 8, 7],
    ["nothing at all, where a benchmark would be fastest", 0, 0],
    ["what is no number", Number.NaN, 7],
  ])("refuses %s", (_, actual, expected) => {
    expect(() => check("events", actual, expected)).toThrow(`Expected ${expected} events, found ${actual}.`);
  });
});
