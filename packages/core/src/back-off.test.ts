import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { backOffMs } from "./back-off.ts";

describe("backOffMs", () => {
  const bounds = fc
    .tuple(fc.integer({ min: 1, max: 10_000 }), fc.integer({ min: 1, max: 1_000 }))
    .map(([initialMs, factor]) => ({ initialMs, maxMs: initialMs * factor }));
  const fraction = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });

  it("doubles the wait with each attempt", () => {
    const waits = [1, 2, 3, 4].map((attempt) =>
      backOffMs(attempt, { initialMs: 100, maxMs: 30_000 }, { fraction: () => 0.5 }),
    );

    expect(waits).toEqual([75, 150, 300, 600]);
  });

  it("stays between half of its ceiling and the ceiling, which is never above the maximum", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 10_000 }), bounds, fraction, (attempt, { initialMs, maxMs }, chance) => {
        const waitMs = backOffMs(attempt, { initialMs, maxMs }, { fraction: () => chance });
        const ceiling = Math.min(maxMs, initialMs * 2 ** (attempt - 1));

        expect(waitMs).toBeGreaterThanOrEqual(ceiling / 2);
        expect(waitMs).toBeLessThanOrEqual(ceiling);
      }),
    );
  });

  it("never waits less for a later attempt than half of what an earlier one waited", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 60 }), bounds, fraction, fraction, (attempt, both, one, other) => {
        const earlier = backOffMs(attempt, both, { fraction: () => one });
        const later = backOffMs(attempt + 1, both, { fraction: () => other });

        expect(later).toBeGreaterThanOrEqual(earlier / 2);
      }),
    );
  });

  it("spreads those that failed together", () => {
    const waits = new Set(
      Array.from({ length: 100 }, (_, index) =>
        backOffMs(5, { initialMs: 100, maxMs: 30_000 }, { fraction: () => index / 100 }),
      ),
    );

    expect(waits.size).toBe(100);
  });
});
