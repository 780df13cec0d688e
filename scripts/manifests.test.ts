import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";

type Conditions = Readonly<Record<string, string>>;

interface Manifest {
  readonly exports: Readonly<Record<string, string | Conditions>>;
  readonly publishConfig: { readonly exports: Manifest["exports"] };
}

/** Modules that do something by being imported; none in the other packages. */
const sideEffects = { testing: ["./dist/vitest/index.js"] } as Readonly<Record<string, readonly string[]>>;

const packages = join(import.meta.dirname, "../packages");

describe.each(readdirSync(packages))("The manifest of %s", (name) => {
  const manifest = JSON.parse(readFileSync(join(packages, name, "package.json"), "utf8")) as Manifest;

  it("publishes the exports of the workspace, without the way to the sources", () => {
    const published = Object.entries(manifest.exports).map(([path, target]) => {
      if (typeof target === "string") return [path, target];
      return [path, Object.fromEntries(Object.entries(target).filter(([condition]) => condition !== "@pup/source"))];
    });

    expect(manifest.publishConfig.exports).toEqual(Object.fromEntries(published));
  });

  it("names a source for each export, and the types before the code", () => {
    const targets = Object.values(manifest.exports).filter((target) => typeof target !== "string");

    for (const target of targets) expect(Object.keys(target)).toEqual(["@pup/source", "types", "default"]);
  });

  it("says what every package of pup says", () => {
    expect(manifest).toMatchObject({
      name: `@pup/${name}`,
      license: "MIT",
      type: "module",
      sideEffects: sideEffects[name] ?? false,
      engines: { node: ">=22" },
      repository: { directory: `packages/${name}` },
      publishConfig: { access: "public" },
    });
  });
});
