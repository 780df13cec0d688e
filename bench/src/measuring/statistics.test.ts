import { describe, expect, it } from "vitest";
import { median, percentile } from "./statistics.ts";

describe("median", () => {
  it("is the value in the middle, whatever the order", () => {
    expect(median([9, 1, 5])).toBe(5);
    expect(median([7])).toBe(7);
  });

  it("lies between the two in the middle of an even number", () => {
    expect(median([4, 1, 3, 2])).toBe(2.5);
  });

  it("is no number when there is nothing", () => {
    expect(median([])).toBeNaN();
  });
});

describe("percentile", () => {
  it("is the smallest value that so many do not exceed", () => {
    const hundred = Array.from({ length: 100 }, (_, index) => 100 - index);
    expect([0.5, 0.95, 0.99, 1].map((share) => percentile(hundred, share))).toEqual([50, 95, 99, 100]);
    expect(percentile([3], 0.5)).toBe(3);
  });

  it("is no number when there is nothing", () => {
    expect(percentile([], 0.5)).toBeNaN();
  });
});
