import { describe, expect, it, vi } from "vitest";
import { parseRigArguments } from "./arguments.ts";

describe("The rig's arguments", () => {
  it("have defaults, and another seed each time", () => {
    const first = parseRigArguments("chaos", []);
    const { seed } = parseRigArguments("chaos", []);

    expect(first).toEqual({
      command: "chaos",
      seconds: 120,
      seed: expect.any(Number),
      json: false,
      broken: null,
      postgres: undefined,
    });
    expect(seed).not.toBe(first.seed);
    expect(parseRigArguments("torture", []).seconds).toBe(60);
  });

  it("choose length, seed, server and output", () => {
    const args = ["--seconds", "300", "--seed", "7", "--json", "--postgres=12"];
    expect(parseRigArguments("torture", args)).toEqual({
      command: "torture",
      seconds: 300,
      seed: 7,
      json: true,
      broken: null,
      postgres: 12,
    });
  });

  it("switch a protection off, for a shorter run", () => {
    expect(parseRigArguments("torture", ["--break=fence"])).toMatchObject({ broken: "fence", seconds: 15 });
    expect(parseRigArguments("chaos", ["--break", "settled", "--seconds", "30"])).toMatchObject({
      broken: "settled",
      seconds: 30,
    });
  });

  it.each([
    ["torture", ["--seconds", "2"], "whole number from 3 to 86400"],
    ["chaos", ["--seconds", "9"], "whole number from 10 to 86400"],
    ["chaos", ["--seconds", "1e3"], "whole number from 10 to 86400"],
    ["chaos", ["--seed", "-1"], "whole number from 0 to 2147483647"],
    ["chaos", ["--seed"], "argument missing"],
    ["torture", ["--postgres", "11"], "whole number from 12 to 99"],
    ["torture", ["--break=luck"], "Allowed choices are settled, fence, epoch, notify-reconcile"],
    ["torture", ["--loud"], "unknown option"],
    ["torture", ["loud"], "too many arguments"],
  ] as const)("of %s are refused when they are %j", (command, args, reason) => {
    const write = vi.spyOn(process.stderr, "write").mockReturnValue(true);
    expect(() => parseRigArguments(command, args)).toThrow(reason);
    expect(write).toHaveBeenCalledWith(expect.stringContaining(reason));
  });
});
