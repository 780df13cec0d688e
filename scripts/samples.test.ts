import { describe, expect, it } from "vitest";
import { samplesOf } from "./samples.ts";

describe("Samples", () => {
  it("are the blocks of a page that are marked as TypeScript", () => {
    const page = [
      "# Title",
      "```sh",
      "npm start",
      "```",
      "",
      "```ts",
      "const a = 1;",
      "const b = a;",
      "```",
      "the end",
    ];

    const samples = samplesOf("README.md", page.join("\n"));

    expect(samples).toEqual([{ page: "README.md", line: 7, code: "const a = 1;\nconst b = a;" }]);
  });

  it("are found in doc comments, and end with them", () => {
    const source = ["/**", " * Adds.", " * ```ts", " * add(1);", " * ```", " */", "/** ```ts */", "const code = 1;"];

    const samples = samplesOf("add.ts", source.join("\n"));

    expect(samples).toEqual([{ page: "add.ts", line: 4, code: "add(1);" }]);
  });
});
