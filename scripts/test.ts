// Runs the tests and says at the end, in one plain line, how many passed and failed. Arguments go to vitest:
// `npm test -- --project unit packages/core`.
import { spawnSync } from "node:child_process";
import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { countResults, type TestReport } from "./count-results.ts";

const root = join(import.meta.dirname, "..");
const reportFile = join(root, ".vitest/report.json");
// What an earlier run said must not count for one that crashes.
rmSync(reportFile, { force: true });

const vitest = join(root, "node_modules/vitest/vitest.mjs");
const reporters = ["--reporter=default", "--reporter=json", `--outputFile.json=${reportFile}`];
const run = spawnSync(process.execPath, [vitest, "run", ...reporters, ...process.argv.slice(2)], {
  cwd: root,
  stdio: "inherit",
});
const exitCode = run.status ?? 1;
const { passed, failed } = countResults(readReport(), exitCode);
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed > 0 ? exitCode || 1 : exitCode);

function readReport(): TestReport | undefined {
  try {
    return JSON.parse(readFileSync(reportFile, "utf8")) as TestReport;
  } catch {
    return undefined;
  }
}
