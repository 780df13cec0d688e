import { describe, expect, it } from "vitest";
import { judge, ratio } from "./goal.ts";

describe("judge", () => {
  const readings = { pup: [100, 200, 90], raw: [100, 100, 100], Emmett: [25, 50, 30] };

  it("compares within each round before it takes the median", () => {
    expect(judge({ relativeTo: "raw", atLeast: 0.95 }, readings)).toEqual({
      goal: "≥ 0.95 × raw",
      actual: 1,
      reached: true,
    });
    expect(judge({ relativeTo: "Emmett", atLeast: 4.5 }, readings)).toMatchObject({ actual: 4, reached: false });
  });

  it("takes a value as it is when it is relative to nothing", () => {
    expect(judge({ atMost: 90 }, readings)).toEqual({ goal: "≤ 90", actual: 100, reached: false });
  });

  it("judges somebody else than pup when told to", () => {
    const goal = { of: "Emmett", relativeTo: "raw", atMost: 0.3 };
    expect(judge(goal, readings)).toEqual({ goal: "Emmett: ≤ 0.3 × raw", actual: 0.3, reached: true });
  });

  it.each([[{ relativeTo: "pg-boss", atLeast: 1 }], [{ of: "pg-boss", atLeast: 1 }]])(
    "refuses %j, which nobody has measured",
    (goal) => {
      expect(() => judge(goal, readings)).toThrow('Expected "pg-boss" to be measured');
    },
  );

  it("reaches nothing with what is no number", () => {
    expect(judge({ atLeast: 0 }, { pup: [Number.NaN] }).reached).toBe(false);
  });
});

describe("ratio", () => {
  it("is one where both have nothing", () => {
    expect(ratio([0, 0], [0, 0])).toBe(1);
  });
});
