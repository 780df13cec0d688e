// Everything a change is checked for besides its tests. Runs all checks and shows what the failing ones said. With names
// as arguments it runs only those: `npm run check -- lint types`.
import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";

interface Outcome {
  readonly ok: boolean;
  readonly output: string;
}

const root = join(import.meta.dirname, "..");
const env = { ...process.env, PATH: [join(root, "node_modules/.bin"), process.env.PATH].join(delimiter) };

const checks = new Map<string, () => Outcome>([
  // Format, lint rules, the boundaries between packages.
  ["lint", () => run("biome", "ci", "--error-on-warnings", "--colors=off")],
  // Packages, their tests, examples and scripts in one program.
  ["types", () => run("tsc", "--noEmit")],
  // Exports that nobody uses, dependencies that nobody needs or that are missing.
  ["unused", () => run("knip")],
  // What npm would publish: the manifests, and the types as every kind of module resolution sees them.
  ["packages", checkPackages],
]);

const asked = process.argv.slice(2);
const unknown = asked.filter((name) => !checks.has(name));
if (unknown.length > 0) {
  console.error(`Expected some of ${[...checks.keys()].join(", ")}, got ${unknown.join(", ")}.`);
  process.exit(2);
}

let allOk = true;
for (const [name, check] of checks) {
  if (asked.length > 0 && !asked.includes(name)) continue;
  const startedAt = Date.now();
  const { ok, output } = check();
  console.log(`${ok ? "ok    " : "FAILED"} ${name} ${((Date.now() - startedAt) / 1000).toFixed(1)} s`);
  if (!ok) console.log(output);
  allOk &&= ok;
}
process.exit(allOk ? 0 : 1);

function run(command: string, ...args: string[]): Outcome {
  const { status, stdout, stderr, error } = spawnSync(command, args, { cwd: root, env, encoding: "utf8" });
  return { ok: status === 0, output: [stdout, stderr, error?.message].filter(Boolean).join("\n") };
}

function checkPackages(): Outcome {
  const { packageManager } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { packageManager: string };
  const folder = mkdtempSync(join(tmpdir(), "pup-packed-"));
  try {
    // With pnpm, as they are published: it fills in workspace versions and what publishConfig overrides.
    const pack = ["--recursive", "--filter=./packages/*", "pack", "--pack-destination", folder];
    const packed = run("npx", "-y", packageManager, ...pack);
    if (!packed.ok) return packed;
    const outcomes = readdirSync(folder).flatMap((name) => {
      const tarball = join(folder, name);
      return [run("publint", tarball, "--strict"), run("attw", tarball, "--profile", "esm-only", "--no-emoji")];
    });
    const failures = outcomes.filter(({ ok }) => !ok);
    return { ok: failures.length === 0, output: failures.map(({ output }) => output).join("\n") };
  } finally {
    rmSync(folder, { recursive: true });
  }
}
