import { describe, expect, it, vi } from "vitest";
import { parseArguments } from "./arguments.ts";

describe("The demo's arguments", () => {
  it("have defaults", () => {
    expect(parseArguments([])).toEqual({ seconds: 30, dispatcher: "notify" });
  });

  it("choose the dispatcher and the length", () => {
    expect(parseArguments(["--poll", "--seconds", "12"])).toEqual({ seconds: 12, dispatcher: "poll" });
    expect(parseArguments(["--notify"]).dispatcher).toBe("notify");
  });

  it.each([
    [["--seconds", "4"], "whole number from 5 to 600"],
    [["--seconds", "1e3"], "whole number from 5 to 600"],
    [["--seconds", "601"], "whole number from 5 to 600"],
    [["--seconds"], "argument missing"],
    [["--poll", "--notify"], "cannot be used with"],
    [["--loud"], "unknown option"],
    [["loud"], "too many arguments"],
  ])("are refused when they are %j", (args, reason) => {
    const write = vi.spyOn(process.stderr, "write").mockReturnValue(true);
    expect(() => parseArguments(args)).toThrow(reason);
    expect(write).toHaveBeenCalledWith(expect.stringContaining(reason));
  });
});
