import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { describe, expect, it } from "vitest";

const tests = join(import.meta.dirname, "../tests");
const runners = join(tests, "src/runners");

/** Two more processes, one of which starts jest: room for a busy machine. */
const TIMEOUT_MS = 120_000;

function run(...args: string[]) {
  const { NODE_OPTIONS: _, NODE_TEST_CONTEXT: __, VITEST: ___, ...env } = process.env;
  const flags = ["--disable-warning=ExperimentalWarning", "--conditions=@pup/source"];
  const { status, stdout, stderr } = spawnSync(process.execPath, [...flags, ...args], {
    cwd: tests,
    env: { ...env, NO_COLOR: "1" },
    encoding: "utf8",
  });
  return { status, output: stdout + stderr };
}

describe("@pup/testing, without vitest", () => {
  it("works under node:test", { timeout: TIMEOUT_MS }, () => {
    const { status, output } = run("--test", "--test-reporter=tap", join(runners, "harness.node.ts"));

    expect(output).toContain("# pass 2\n# fail 0");
    expect(status).toBe(0);
  });

  it("works under jest", { timeout: TIMEOUT_MS }, () => {
    const jest = join(tests, "node_modules/jest/bin/jest.js");
    const config = {
      roots: [runners],
      testMatch: ["**/*.jest.ts"],
      transform: { "\\.ts$": join(runners, "strip-types.mjs") },
      // Packages of this workspace see each other's sources, here too.
      testEnvironmentOptions: { customExportConditions: ["@pup/source", "node"] },
      extensionsToTreatAsEsm: [".ts"],
      watchman: false,
    };
    const { status, output } = run(
      "--experimental-vm-modules",
      jest,
      "--runInBand",
      "--no-cache",
      `--config=${JSON.stringify(config)}`,
    );

    expect(output).toContain("2 passed, 2 total");
    expect(status).toBe(0);
  });
});
