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

/** What runs on a clock and on chance that are given. */
const clocked = ["core", "coordinator", "dispatch-poll", "dispatch-notify"];

const clocksAndDice = [
  "Date.now()",
  "Date()",
  "new Date()",
  "performance.now()",
  "process.hrtime()",
  "process.uptime()",
  "setTimeout(() => 1, 1)",
  "setInterval(() => 1, 1)",
  "setImmediate(() => 1)",
  "globalThis.setTimeout(() => 1, 1)",
  "global.setTimeout(() => 1, 1)",
  "AbortSignal.timeout(1)",
  "Math.random()",
  "crypto.randomUUID()",
  "crypto.getRandomValues(new Uint8Array(1))",
].map((expression) => ({
  expression,
  refused: clocked.map((name) => addFile(`packages/${name}/src/*.ts`, `export const x = ${expression};`)),
  allowed: ["coordinator/src/*.test.ts", "store-pg/src/*.ts", "testing/src/*.ts"].map((pattern) =>
    addFile(`packages/${pattern}`, `export const x = ${expression};`),
  ),
}));
const modulesOfClocksAndDice = [
  "node:timers",
  "node:timers/promises",
  "node:perf_hooks",
  "node:process",
  "node:crypto",
].map((name) => ({
  name,
  refused: clocked.map((folder) => addFile(`packages/${folder}/src/*.ts`, `export { x } from "${name}";`)),
  allowed: ["coordinator/src/*.test.ts", "store-pg/src/*.ts", "testing/src/*.ts"].map((pattern) =>
    addFile(`packages/${pattern}`, `export { x } from "${name}";`),
  ),
}));
const dataOfTimes = [
  "export const x = new Date(0);",
  "export const x = (y: unknown): y is Date => y instanceof Date;",
].map((code) => ({ code, file: addFile("packages/core/src/*.ts", code) }));
const systemClock = addFile(
  "packages/core/src/system-clock.ts",
  "export const x = [Date.now(), new Date(), setTimeout(() => 1, 1), Math.random()];",
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
    mkdirSync(join(sandbox, "scripts"));
    for (const file of ["biome.jsonc", "scripts/no-time-of-day.grit"])
      copyFileSync(join(root, file), join(sandbox, file));
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
      expect(findings.get(file), file).toMatch(/^(no(JsRestrictedProperties|RestrictedGlobals)|plugin)$/);
    for (const file of allowed) expect(findings.get(file), file).toBeUndefined();
  });

  it.each(modulesOfClocksAndDice)(
    "refuse what comes from $name there, however it is called",
    ({ refused, allowed }) => {
      for (const file of refused) expect(findings.get(file), file).toBe("noRestrictedImports");
      for (const file of allowed) expect(findings.get(file), file).toBeUndefined();
    },
  );

  it.each(dataOfTimes)("allow times as data: $code", ({ file }) => {
    expect(findings.get(file)).toBeUndefined();
  });

  it("make an exception for the one file that is the clock", () => {
    expect(findings.get(systemClock)).toBeUndefined();
  });
});
