import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { AIM_MS, nextBatchSize } from "./batch-size.ts";

const bounds = { min: 100, max: 1_000 };

/** What batches come to, one full batch after the other, when the handler takes so long for each event. */
function settle(msPerEvent: number, size = bounds.min): number {
  let next = size;
  for (let batch = 0; batch < 50; batch++) {
    next = nextBatchSize(next, { events: next, durationMs: next * msPerEvent }, bounds);
  }
  return next;
}

describe("The size of batches", () => {
  it("doubles while the handler is quick, up to the most", () => {
    const sizes = [100];
    for (let batch = 0; batch < 5; batch++) {
      const size = sizes.at(-1) as number;
      sizes.push(nextBatchSize(size, { events: size, durationMs: 5 }, bounds));
    }

    expect(sizes).toEqual([100, 200, 400, 800, 1_000, 1_000]);
  });

  it("falls at once to what fits when the handler becomes slow", () => {
    expect(nextBatchSize(1_000, { events: 1_000, durationMs: 400 }, bounds)).toBe(250);
    expect(nextBatchSize(1_000, { events: 1_000, durationMs: 30_000 }, bounds)).toBe(100);
  });

  it("stays where it is while batches are not full: they say nothing about larger ones", () => {
    expect(nextBatchSize(400, { events: 1, durationMs: 0 }, bounds)).toBe(400);
  });

  it("never leaves its bounds", () => {
    const someBounds = fc
      .tuple(fc.integer({ min: 1, max: 5_000 }), fc.integer({ min: 0, max: 5_000 }))
      .map(([min, more]) => ({ min, max: min + more }));
    const batch = fc.record({ events: fc.integer({ min: 1, max: 10_000 }), durationMs: fc.nat({ max: 100_000 }) });

    fc.assert(
      fc.property(fc.integer({ min: 1, max: 10_000 }), batch, someBounds, (size, handled, given) => {
        const next = nextBatchSize(size, handled, given);
        expect(Number.isInteger(next)).toBe(true);
        expect(next).toBeGreaterThanOrEqual(given.min);
        expect(next).toBeLessThanOrEqual(given.max);
      }),
    );
  });

  it("comes to rest where a batch takes about the time aimed at, from wherever it starts", () => {
    const start = fc.integer({ min: bounds.min, max: bounds.max });

    fc.assert(
      fc.property(fc.double({ min: 0.001, max: 10, noNaN: true }), start, (msPerEvent, from) => {
        const size = settle(msPerEvent, from);
        expect(nextBatchSize(size, { events: size, durationMs: size * msPerEvent }, bounds)).toBe(size);
        if (size > bounds.min) expect(size * msPerEvent).toBeLessThanOrEqual(AIM_MS * 1.001);
        if (size < bounds.max) expect(size * msPerEvent).toBeGreaterThan(AIM_MS / 2.1);
      }),
    );
  });

  it("is never larger for a slower handler", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 100, max: 1_000 }),
        fc.nat({ max: 5_000 }),
        fc.nat({ max: 5_000 }),
        (size, a, b) => {
          const [quick, slow] = a < b ? [a, b] : [b, a];
          const after = (durationMs: number) => nextBatchSize(size, { events: size, durationMs }, bounds);
          expect(after(slow)).toBeLessThanOrEqual(after(quick));
        },
      ),
    );
  });
});
