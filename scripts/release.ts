// Publishes every package whose version the registry does not have yet. Run by the workflow; at home `npm run test:install` does it
// against a registry of its own.
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";

const root = join(import.meta.dirname, "..");
const { packageManager } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { packageManager: string };
// Through pnpm, which changesets calls for each package: it fills in workspace versions and what publishConfig overrides.
const { status } = spawnSync("npx", ["-y", packageManager, "changeset", "publish", ...process.argv.slice(2)], {
  cwd: root,
  stdio: "inherit",
});
process.exit(status ?? 1);
