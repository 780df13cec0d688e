import { spawnSync } from "node:child_process";
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";

const root = join(import.meta.dirname, "..");
const files: { readonly path: string; readonly code: string }[] = [];
let findings: Map<string, string>;

const refusedImports = [
  ["packages/coordinator/src/*.ts", "@pup/store-pg"],
  ["packages/coordinator/src/*.ts", "@pup/testing"],
  ["packages/coordinator/src/*.ts", "../../core/src/index.ts"],
  ["packages/coordinator/src/*.ts", "node:timers/promises"],
  ["packages/store-pg/src/*.ts", "@pup/dispatch-poll"],
  ["packages/store-pg/src/*.ts", "../../core/src/index.ts"],
  ["packages/store-pg/src/*.test.ts", "@pup/coordinator"],
  ["packages/dispatch-notify/src/*.ts", "@pup/store-pg"],
  ["packages/testing/src/postgres/*.ts", "@pup/store-pg"],
  ["packages/core/src/*.ts", "@pup/testing"],
  ["packages/core/src/*.test.ts", "@pup/testing"],
].map(([folder = "", name = ""]) => ({ file: addFile(folder, `export { x } from "${name}";`), name }));

const allowedImports = [
  ["packages/coordinator/src/*.ts", "@pup/core"],
  ["packages/coordinator/src/*.test.ts", "@pup/testing"],
  ["packages/store-pg/src/*.ts", "@pup/core"],
  ["packages/store-pg/src/*.int.test.ts", "@pup/testing/postgres"],
  ["packages/testing/src/contracts/*.ts", "@pup/core"],
  ["examples/src/*.ts", "@pup/store-pg"],
].map(([folder = "", name = ""]) => ({ file: addFile(folder, `export { x } from "${name}";`), name }));

const clocksAndDice = [
  "Date.now()",
  "Math.random()",
  "crypto.randomUUID()",
  "globalThis.setTimeout(() => 1, 1)",
  "performance.now()",
  "setTimeout(() => 1, 1)",
  "setInterval(() => 1, 1)",
].map((expression) => ({
  expression,
  refused: ["core", "coordinator", "dispatch-poll", "dispatch-notify"].map((name) =>
    addFile(`packages/${name}/src/*.ts`, `export const x = ${expression};`),
  ),
  allowed: ["coordinator/src/*.test.ts", "store-pg/src/*.ts", "testing/src/*.ts"].map((pattern) =>
    addFile(`packages/${pattern}`, `export const x = ${expression};`),
  ),
}));
const systemClock = addFile(
  "packages/core/src/system-clock.ts",
  "export const x = Date.now() + setTimeout(() => 1, 1);",
);

/** Notes a file to be linted; a star in its path becomes a name of its own. */
function addFile(pattern: string, code: string): string {
  const file = pattern.replace("*", `case-${files.length}`);
  files.push({ path: file, code: `${code}\n` });
  return file;
}

// One run of the linter for all cases, in a copy of the repository's layout.
beforeAll(() => {
  const sandbox = mkdtempSync(join(tmpdir(), "pup-boundaries-"));
  try {
    copyFileSync(join(root, "biome.jsonc"), join(sandbox, "biome.jsonc"));
    for (const { path, code } of files) {
      mkdirSync(join(sandbox, dirname(path)), { recursive: true });
      writeFileSync(join(sandbox, path), code);
    }
    const biome = join(root, "node_modules/@biomejs/biome/bin/biome");
    const args = ["lint", "--vcs-enabled=false", "--reporter=json", "--max-diagnostics=none", "packages", "examples"];
    const { stdout } = spawnSync(process.execPath, [biome, ...args], { cwd: sandbox, encoding: "utf8" });
    const { diagnostics } = JSON.parse(stdout) as {
      diagnostics: { category: string; location: { path: string } }[];
    };
    findings = new Map(diagnostics.map(({ category, location }) => [location.path, basename(category)]));
  } finally {
    rmSync(sandbox, { recursive: true });
  }
});

describe("The rules about packages", () => {
  it.each(refusedImports)("refuse in $file an import of $name", ({ file }) => {
    expect(findings.get(file)).toBe("noRestrictedImports");
  });

  it.each(allowedImports)("allow in $file an import of $name", ({ file }) => {
    expect(findings.get(file)).toBeUndefined();
  });
});

describe("The rules about time and chance", () => {
  it.each(clocksAndDice)("refuse $expression where a clock is given, and only there", ({ refused, allowed }) => {
    for (const file of refused)
      expect(findings.get(file), file).toMatch(/^no(JsRestrictedProperties|RestrictedGlobals)$/);
    for (const file of allowed) expect(findings.get(file), file).toBeUndefined();
  });

  it("make an exception for the one file that is the clock", () => {
    expect(findings.get(systemClock)).toBeUndefined();
  });
});
