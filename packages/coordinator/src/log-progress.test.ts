import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createLogProgress } from "./log-progress.ts";

function setUp() {
  let now = 0;
  const progress = createLogProgress({ now: () => now });
  const at = (time: number) => {
    now = time;
  };
  return { progress, at };
}

describe("The progress of a log", () => {
  it("says since when the log has been beyond a position", () => {
    const { progress, at } = setUp();
    for (const [time, head] of [
      [100, 5n],
      [200, 5n],
      [300, 8n],
      [400, 12n],
    ] as const) {
      at(time);
      progress.note(head);
    }

    expect([0n, 4n].map(progress.beyondSince)).toEqual([100, 100]);
    expect([5n, 7n].map(progress.beyondSince)).toEqual([300, 300]);
    expect([8n, 11n].map(progress.beyondSince)).toEqual([400, 400]);
    expect([12n, 13n].map(progress.beyondSince)).toEqual([null, null]);
  });

  it("forgets what a crash has taken back", () => {
    const { progress, at } = setUp();
    for (const [time, head] of [
      [100, 5n],
      [200, 9n],
      [300, 6n],
    ] as const) {
      at(time);
      progress.note(head);
    }

    expect(progress.beyondSince(5n)).toBe(300);
    expect(progress.beyondSince(6n)).toBeNull();
  });

  it("never says too young, and at most a twentieth or a second too old, however long it goes on", () => {
    const pauseMs = fc.oneof(fc.integer({ min: 1, max: 50 }), fc.integer({ min: 1, max: 100_000 }));
    fc.assert(
      fc.property(fc.array(pauseMs, { minLength: 2_000, maxLength: 3_000 }), (pauses) => {
        const { progress, at } = setUp();
        const appearedAt: number[] = [];
        let now = 0;
        for (const [index, pause] of pauses.entries()) {
          now += pause;
          at(now);
          appearedAt.push(now);
          progress.note(BigInt(index + 1));
        }
        const tooOld = appearedAt.map((time, position) => {
          const said = progress.beyondSince(BigInt(position)) ?? Number.NaN;
          return (time - said) / Math.max(1_000, 0.05 * (now - said));
        });
        expect(Math.min(...tooOld)).toBeGreaterThanOrEqual(0);
        expect(Math.max(...tooOld)).toBeLessThanOrEqual(1);
      }),
      // A counterexample of thousands of numbers does not get clearer by being made shorter.
      { numRuns: 10, endOnFailure: true },
    );
  });
});
