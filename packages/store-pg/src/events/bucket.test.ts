import { describe, expect, it } from "vitest";
import { bucketOf } from "./bucket.ts";

describe("bucketOf", () => {
  it("never changes: events carry it for ever", () => {
    const buckets = [
      ["Order", "order-1"],
      ["Order", "order-2"],
      ["Invoice", "order-1"],
      ["ä", "🐶"],
      ["a", "b:c"],
      ["a:b", "c"],
    ].map(([aggregateType = "", aggregateId = ""]) => bucketOf({ aggregateType, aggregateId }));

    expect(buckets).toEqual([118, 599, 608, 151, 503, 725]);
  });

  it("spreads aggregates over all of 0 to 1023", () => {
    const counts = new Array<number>(1_024).fill(0);
    for (let index = 0; index < 102_400; index++) {
      const bucket = bucketOf({ aggregateType: "Order", aggregateId: `order-${index}` });
      counts[bucket] = (counts[bucket] ?? Number.NaN) + 1;
    }

    expect(counts).toHaveLength(1_024);
    expect(Math.min(...counts)).toBeGreaterThan(50);
    expect(Math.max(...counts)).toBeLessThan(160);
  });
});
