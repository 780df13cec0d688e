import { describe, expect, it, vi } from "vitest";
import { parseMeasure } from "./measures.ts";

describe("The arguments of measures", () => {
  it("name one, with its options", () => {
    expect(parseMeasure(["failover"])).toEqual({ json: false, run: expect.any(Function) });
    for (const name of ["fleet", "blocked", "starved"]) expect(parseMeasure([name]).json).toBe(false);
    expect(parseMeasure(["gaps", "--rounds", "3", "--json"])).toMatchObject({ json: true });
  });

  it.each([
    [[], "Usage: npm run measure --"],
    [["luck"], "unknown command"],
    [["failover", "--rounds", "0"], "whole number from 1 to 10000"],
    [["gaps", "--pooler-rounds", "1"], "unknown option"],
    [["fleet", "--workers", "1"], "whole number from 2 to 200"],
    [["gaps", "twice"], "too many arguments"],
  ])("are refused when they are %j", (args, reason) => {
    const write = vi.spyOn(process.stderr, "write").mockReturnValue(true);
    expect(() => parseMeasure(args)).toThrow();
    expect(write).toHaveBeenCalledWith(expect.stringContaining(reason));
  });
});
