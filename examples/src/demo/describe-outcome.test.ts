import { describe, expect, it } from "vitest";
import { describeOutcome, isAsPromised, outcomeAsJson } from "./describe-outcome.ts";

const outcome = {
  events: 1_200,
  deliveries: 4_800,
  lost: 0,
  duplicates: 0,
  outOfOrder: 0,
  wrongRows: 0,
  wrongAppends: 0,
  faults: [],
  workers: 4,
  failoverMs: 640,
  rolledBack: 180,
  conflicts: 12,
};

describe("The outcome", () => {
  it("is one line of JSON for programs", () => {
    expect(outcomeAsJson(outcome)).toBe(
      '{"events":1200,"deliveries":4800,"lost":0,"duplicates":0,"outOfOrder":0,"wrongRows":0,"wrongAppends":0,' +
        '"workers":4,"failoverMs":640,"verdict":"ok"}',
    );
    expect(isAsPromised(outcome)).toBe(true);
  });

  it("is bad as soon as there is a fault, and names it", () => {
    const wrong = { ...outcome, faults: ["Rows of orders that are not what the log says: 1."] };
    expect(JSON.parse(outcomeAsJson(wrong))).toMatchObject({ verdict: "failed" });
    expect(describeOutcome(wrong)).toContain("WRONG: Rows of orders that are not what the log says: 1.");
    expect(isAsPromised(wrong)).toBe(false);
  });

  it("fits into a terminal", () => {
    for (const line of describeOutcome(outcome)) expect(line.length).toBeLessThanOrEqual(80);
  });
});
