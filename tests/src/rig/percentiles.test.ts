import { describe, expect, it } from "vitest";
import { percentiles } from "./percentiles.ts";

describe("percentiles", () => {
  it("are times that were measured, whatever their order", () => {
    const times = Array.from({ length: 200 }, (_, index) => 200 - index);

    expect(percentiles(times)).toEqual({ count: 200, p50: 100, p99: 198, max: 200 });
  });

  it("of a few times lean to the longest", () => {
    expect(percentiles([3.4, 1, 2])).toEqual({ count: 3, p50: 2, p99: 3, max: 3 });
    expect(percentiles([7])).toEqual({ count: 1, p50: 7, p99: 7, max: 7 });
  });

  it("of nothing are nothing", () => {
    expect(percentiles([])).toEqual({ count: 0, p50: null, p99: null, max: null });
  });
});
