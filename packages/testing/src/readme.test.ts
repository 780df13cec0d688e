import { readFile } from "node:fs/promises";
import { expect, it } from "vitest";
import * as testing from "./index.ts";

it("names in the README everything that there is", async () => {
  const readme = await readFile(new URL("../README.md", import.meta.url), "utf8");

  for (const [name, value] of Object.entries(testing)) {
    expect(readme).toContain(typeof value === "function" ? `${name}(` : name);
  }
});
