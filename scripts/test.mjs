// Runs the tests and says at the end, in one plain line, how many passed and failed. Arguments go to vitest:
// `npm test -- --project unit packages/core`.
import { spawnSync } from "node:child_process";
import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { countResults } from "./count-results.mjs";

const root = join(import.meta.dirname, "..");
const report = join(root, ".vitest/report.json");
rmSync(report, { force: true });

const vitest = join(root, "node_modules/vitest/vitest.mjs");
const reporters = ["--reporter=default", "--reporter=json", `--outputFile.json=${report}`];
const run = spawnSync(process.execPath, [vitest, "run", ...reporters, ...process.argv.slice(2)], {
  cwd: root,
  stdio: "inherit",
});
const status = run.status ?? 1;
const { passed, failed } = countResults(readReport(), status);
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed > 0 ? Math.max(status, 1) : status);

function readReport() {
  try {
    return JSON.parse(readFileSync(report, "utf8"));
  } catch {
    return undefined;
  }
}
