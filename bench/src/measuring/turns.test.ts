import { describe, expect, it } from "vitest";
import { turns } from "./turns.ts";

describe("turns", () => {
  it("gives everybody one turn per round, and lets another one begin each time", () => {
    expect(turns(["a", "b", "c"], 4)).toEqual([
      ["a", "b", "c"],
      ["b", "c", "a"],
      ["c", "a", "b"],
      ["a", "b", "c"],
    ]);
  });
});
