import { describe, expect, it, vi } from "vitest";
import { parseArguments } from "./arguments.ts";

const cases = [
  { name: "append", about: "appends" },
  { name: "idle", about: "rest" },
];

describe("The arguments of the benchmark", () => {
  it("name cases, or all of them by naming none", () => {
    const all = { cases: [], size: "full", rounds: 5, huge: false, json: false, writeDocs: false };
    expect(parseArguments([], cases)).toEqual(all);
    expect(parseArguments(["idle", "append", "--quick", "--json"], cases)).toEqual({
      ...all,
      cases: ["idle", "append"],
      size: "quick",
      rounds: 2,
      json: true,
    });
    expect(parseArguments(["--smoke", "--rounds", "7", "--huge", "--write-docs"], cases)).toEqual({
      ...all,
      size: "smoke",
      rounds: 7,
      huge: true,
      writeDocs: true,
    });
  });

  it.each([
    [["luck"], "Allowed choices are append, idle"],
    [["--rounds", "0"], "whole number from 1 to 9999"],
    [["--fast"], "unknown option"],
  ])("are refused when they are %j", (args, reason) => {
    const write = vi.spyOn(process.stderr, "write").mockReturnValue(true);
    expect(() => parseArguments(args, cases)).toThrow();
    expect(write).toHaveBeenCalledWith(expect.stringContaining(reason));
  });
});
