import { spawnSync } from "node:child_process";
import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { countResults, type Results, type TestReport } from "./count-results.ts";

const root = join(import.meta.dirname, "..");

/** What became of one run of vitest. */
export interface TestRun extends Results {
  readonly exitCode: number;
}

/**
 * Runs vitest to its end, with its output on ours.
 *
 * @param reportFile - where to leave the report in JSON, below the root
 */
export function runVitest(args: readonly string[], reportFile: string, env: NodeJS.ProcessEnv = process.env): TestRun {
  const path = join(root, reportFile);
  // What an earlier run said must not count for one that crashes.
  rmSync(path, { force: true });
  const vitest = join(root, "node_modules/vitest/vitest.mjs");
  const reporters = ["--reporter=default", "--reporter=json", `--outputFile.json=${path}`];
  const { status } = spawnSync(process.execPath, [vitest, "run", ...reporters, ...args], {
    cwd: root,
    env,
    stdio: "inherit",
  });
  const exitCode = status ?? 1;
  return { exitCode, ...countResults(readReport(path), exitCode) };
}

function readReport(path: string): TestReport | undefined {
  try {
    return JSON.parse(readFileSync(path, "utf8")) as TestReport;
  } catch {
    return undefined;
  }
}
