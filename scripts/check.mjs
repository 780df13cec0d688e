// Everything a change is checked for besides its tests. Runs all checks, shows what the failing ones said, and fails with
// them. With names as arguments it runs only those: `npm run check -- lint types`.
import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";

const root = join(import.meta.dirname, "..");
const env = {
  ...process.env,
  PATH: [join(root, "node_modules/.bin"), dirname(process.execPath), process.env.PATH].join(delimiter),
};

const checks = {
  /** Format, lint rules, the boundaries between packages. */
  lint: () => run("biome", "ci", "--error-on-warnings"),
  /** Packages, their tests, examples and configuration in one program. */
  types: () => run("tsc", "--noEmit"),
  /** Exports that nobody uses, dependencies that nobody needs or that are missing. */
  unused: () => run("knip"),
  /** What npm would publish: its manifest, and its types as seen by all kinds of module resolution. */
  packages: checkPackages,
};

const asked = process.argv.slice(2);
const unknown = asked.filter((name) => !(name in checks));
if (unknown.length > 0) {
  console.error(`Expected some of ${Object.keys(checks).join(", ")}, got ${unknown.join(", ")}.`);
  process.exit(2);
}

let failed = false;
for (const [name, check] of Object.entries(checks)) {
  if (asked.length > 0 && !asked.includes(name)) continue;
  const startedAt = Date.now();
  const { ok, output } = check();
  console.log(`${ok ? "ok    " : "FAILED"} ${name} ${((Date.now() - startedAt) / 1000).toFixed(1)} s`);
  if (!ok) console.log(output);
  failed ||= !ok;
}
process.exit(failed ? 1 : 0);

function run(command, ...args) {
  const { status, stdout, stderr, error } = spawnSync(command, args, { cwd: root, env, encoding: "utf8" });
  return { ok: status === 0, output: `${stdout ?? ""}${stderr ?? ""}${error ?? ""}` };
}

function checkPackages() {
  const { packageManager } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
  const folder = mkdtempSync(join(tmpdir(), "pup-packed-"));
  try {
    // pnpm and not npm: it resolves workspace ranges and what publishConfig overrides.
    const packed = run(
      "npx",
      "-y",
      packageManager,
      "--recursive",
      "--filter=./packages/*",
      "pack",
      "--pack-destination",
      folder,
    );
    if (!packed.ok) return packed;
    const results = readdirSync(folder).flatMap((name) => {
      const tarball = join(folder, name);
      return [
        run("publint", tarball, "--strict"),
        run("attw", tarball, "--profile", "esm-only", "--format", "ascii", "--no-emoji"),
      ];
    });
    const failures = results.filter(({ ok }) => !ok);
    return { ok: failures.length === 0, output: failures.map(({ output }) => output).join("\n") };
  } finally {
    rmSync(folder, { recursive: true });
  }
}
