import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";

const docs = join(import.meta.dirname, "../docs");

/** A test that the page names: its title, linked to its file. */
const NAMED_TEST = /\[([^\]]+)\]\(([^)]+)\)/g;

const rows = readFileSync(join(docs, "failure-modes.md"), "utf8")
  .split("\n")
  .filter((line) => line.startsWith("| ") && !line.startsWith("| what went wrong |"))
  .map((line) => {
    const [, mode = "", , , tests = ""] = line.split("|").map((cell) => cell.trim());
    return { mode, tests: [...tests.matchAll(NAMED_TEST)].map(([, title = "", file = ""]) => ({ title, file })) };
  });

describe("The page of failure modes", () => {
  it("lists some", () => {
    expect(rows.length).toBeGreaterThan(10);
  });

  it.each(rows)("names tests that exist for: $mode", ({ tests }) => {
    expect(tests).not.toEqual([]);
    for (const { title, file } of tests) {
      const path = join(docs, file);
      expect({ title, exists: existsSync(path) && hasTest(readFileSync(path, "utf8"), title) }).toEqual({
        title,
        exists: true,
      });
    }
  });
});

/** Looks for the title as a whole, in any kind of quotes, where a test has it: as the first argument of a call. */
function hasTest(source: string, title: string): boolean {
  return ['"', "'", "`"].some((quote) => {
    const [before = "", after] = source.split(`${quote}${title}${quote}`);
    return before.trimEnd().endsWith("(") && after?.startsWith(",");
  });
}
