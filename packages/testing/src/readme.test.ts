import { readFile } from "node:fs/promises";
import { expect, it } from "vitest";
import * as testing from "./index.ts";

const read = (path: string) => readFile(new URL(`../../../${path}`, import.meta.url), "utf8");
const unindented = (code: string) => code.replaceAll(/^ +/gm, "");

it("shows samples in the README that run among the examples", async () => {
  const readme = await read("packages/testing/README.md");
  const samples = [...readme.matchAll(/<!-- (\S+) -->\n```ts\n([^`]+)```/g)];

  expect(samples).toHaveLength(2);
  for (const [, path = "", code = ""] of samples) expect(unindented(await read(path))).toContain(unindented(code));
});

it("names in the README every factory that there is", async () => {
  const readme = await read("packages/testing/README.md");

  for (const name of Object.keys(testing)) expect(readme).toContain(`\`${name}(`);
});
