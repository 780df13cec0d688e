import { describe, expect, it } from "vitest";
import { kindOf, planFaults } from "./plan.ts";

const options = { durationMs: 120_000, heartbeatTimeoutMs: 3_000 };
const seeds = Array.from({ length: 100 }, (_, seed) => seed);

describe("A plan of faults", () => {
  it("is the same for the same seed, and another one for another", () => {
    expect(planFaults({ ...options, seed: 7 })).toEqual(planFaults({ ...options, seed: 7 }));
    expect(planFaults({ ...options, seed: 7 })).not.toEqual(planFaults({ ...options, seed: 8 }));
  });

  it("has at least 30 faults of all kinds in two minutes, whatever the seed", () => {
    for (const seed of seeds) {
      const plan = planFaults({ ...options, seed });
      expect(plan.length).toBeGreaterThanOrEqual(30);
      expect(new Set(plan.map(kindOf)).size).toBeGreaterThanOrEqual(15);
    }
  });

  it("comes in the order in which it happens, within its time", () => {
    for (const seed of seeds) {
      const moments = planFaults({ ...options, seed }).map(({ atMs }) => atMs);
      expect(moments).toEqual([...moments].sort((a, b) => a - b));
      expect(Math.max(...moments)).toBeLessThan(options.durationMs);
    }
  });

  it("begins with what it is told to", () => {
    const first = { kind: "freeze-in-batch", consumer: "all in batches" } as const;
    expect(planFaults({ ...options, seed: 1, durationMs: 3_000, first })).toEqual([{ ...first, atMs: 2_000 }]);
  });
});
