import { describe, expect, it } from "vitest";
import { compareAccount } from "./compare-account.ts";

const account = { acknowledged: new Set(["a", "b"]), rolledBack: new Set(["x"]) };

describe("compareAccount", () => {
  it("finds nothing when the log holds what was acknowledged, and that only", () => {
    expect(compareAccount(account, new Set(["b", "a"]))).toEqual({ missing: 0, undead: 0, unaccounted: 0 });
  });

  it("finds an acknowledged event that is missing", () => {
    expect(compareAccount(account, new Set(["a"]))).toEqual({ missing: 1, undead: 0, unaccounted: 0 });
  });

  it("finds a rolled-back event that is there", () => {
    expect(compareAccount(account, new Set(["a", "b", "x"]))).toEqual({ missing: 0, undead: 1, unaccounted: 0 });
  });

  it("finds an event that nobody appended", () => {
    expect(compareAccount(account, new Set(["a", "b", "c"]))).toEqual({ missing: 0, undead: 0, unaccounted: 1 });
  });
});
