import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, it } from "vitest";

const root = dirname(import.meta.dirname);
const readmes = [
  "README.md",
  "packages/core/README.md",
  "packages/coordinator/README.md",
  "packages/testing/README.md",
  "docs/operations.md",
  "docs/writing-an-adapter.md",
];

/** A sample is marked with the file that it shows: `<!-- examples/src/orders.ts -->`, then the code. */
const SAMPLE = /<!-- ((?:examples|docs\/deploy)\/\S+) -->\s*```\w+\n([\s\S]*?)```/g;

function read(file: string): string {
  return readFileSync(join(root, file), "utf8");
}

describe.each(readmes)("%s", (readme) => {
  const samples = [...read(readme).matchAll(SAMPLE)].map(([, file = "", code = ""]) => ({ file, code }));

  it("shows a program", () => {
    expect(samples).not.toEqual([]);
  });

  it.each(samples)("shows $file as it is", ({ file, code }) => {
    const withoutTitle = read(file).replace(/^\/\/ .*\n/, "");
    expect(code).toBe(withoutTitle);
  });
});
