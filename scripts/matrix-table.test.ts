import { describe, expect, it } from "vitest";
import { chooseVersions, formatMatrix } from "./matrix-table.ts";

describe("formatMatrix", () => {
  it("lists each release and counts all of them together in the last line", () => {
    const rows = [
      { version: 12, passed: 1_020, failed: 0, skipped: 6, seconds: 61.24 },
      { version: 18, passed: 1_019, failed: 1, skipped: 4, seconds: 59 },
    ];

    expect(formatMatrix(rows).split("\n")).toEqual([
      " version  passed  failed skipped seconds",
      "      12    1020       0       6    61.2",
      "      18    1019       1       4    59.0",
      "2039 passed, 1 failed",
    ]);
  });
});

describe("chooseVersions", () => {
  it("takes all that are installed, oldest first, unless told otherwise", () => {
    expect(chooseVersions(undefined, [18, 12, 15])).toEqual([12, 15, 18]);
  });

  it("takes those that were asked for", () => {
    expect(chooseVersions("18, 12", [18, 12, 15])).toEqual([12, 18]);
  });

  it.each(["11", "12,", "12;15", ""])("refuses %j, and says what can be had", (text) => {
    expect(() => chooseVersions(text, [18, 12, 15])).toThrow("some of 12,15,18");
  });
});
