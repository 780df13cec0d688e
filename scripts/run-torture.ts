import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import type { Results } from "./count-results.ts";

const root = join(import.meta.dirname, "..");
const program = join(root, "tests/src/torture.ts");
const SECONDS = 10;

/**
 * Runs random appends against live workers on a server of the version, compares what came of them with the log, and shows the
 * line of JSON that it ends with. Counts as one test; skipped where the program is not there.
 */
export function runTorture(version: number, env: NodeJS.ProcessEnv): Results {
  if (!existsSync(program)) return { passed: 0, failed: 0, skipped: 1 };
  const seed = Math.floor(Math.random() * 1_000_000);
  const args = ["--seconds", String(SECONDS), "--seed", String(seed), "--postgres", String(version), "--json"];
  const { status } = spawnSync(process.execPath, ["--conditions=@pup/source", program, ...args], {
    cwd: root,
    env,
    stdio: "inherit",
  });
  const passed = status === 0 ? 1 : 0;
  return { passed, failed: 1 - passed, skipped: 0 };
}
