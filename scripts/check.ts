// Everything a change is checked for besides its tests. Runs all checks and shows what the failing ones said. With names
// as arguments it runs only those: `npm run check -- lint types`.
import { spawnSync } from "node:child_process";
import { globSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { parseArgs } from "node:util";
import { compareApiReports } from "./public-api.ts";
import { splitReleases } from "./release-plan.ts";
import { checkSamples } from "./samples.ts";

interface Outcome {
  readonly ok: boolean;
  readonly output: string;
}

const root = join(import.meta.dirname, "..");
const env = { ...process.env, PATH: [join(root, "node_modules/.bin"), process.env.PATH].join(delimiter) };

const checks = new Map<string, () => Outcome | Promise<Outcome>>([
  // Format, lint rules, the boundaries between packages.
  ["lint", () => run("biome", "ci", "--error-on-warnings", "--colors=off")],
  // Packages, their tests, examples and scripts in one program.
  ["types", () => run("tsc", "--noEmit")],
  // Exports that nobody uses, dependencies that nobody needs or that are missing.
  ["unused", () => run("knip")],
  // What npm would publish: the manifests, and the types as every kind of module resolution sees them.
  ["packages", checkPackages],
  // Pages and headings that links lead to.
  ["links", () => run("remark", "--frail", "--quiet", "--no-color", "--no-stdout", ".")],
  // What an import costs.
  ["sizes", () => run("size-limit")],
  // What the packages export, against the reports that were reviewed. `-- api --write` brings them up to date.
  ["api", checkApi],
  // What the pending changesets would release.
  ["releases", checkReleases],
  // Every sample that people read.
  ["samples", checkPages],
]);

const { values: flags, positionals: asked } = parseArgs({
  allowPositionals: true,
  options: { write: { type: "boolean", default: false } },
});
const unknown = asked.filter((name) => !checks.has(name));
if (unknown.length > 0) {
  console.error(`Expected some of ${[...checks.keys()].join(", ")}, got ${unknown.join(", ")}.`);
  process.exit(2);
}

let allOk = true;
for (const [name, check] of checks) {
  if (asked.length > 0 && !asked.includes(name)) continue;
  const startedAt = Date.now();
  const { ok, output } = await check();
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

function checkApi(): Outcome {
  const { changed, complaints } = compareApiReports(root, { write: flags.write });
  const isOk = complaints.length === 0 && (flags.write || changed.length === 0);
  const differences = changed.map(
    (report) => `${report} ${flags.write ? "was brought up to date" : "differs from what the package exports"}`,
  );
  const hint =
    flags.write || changed.length === 0
      ? []
      : ["If the change is meant: npm run check -- api --write, and say in a changeset what it means."];
  return { ok: isOk, output: [...complaints, ...differences, ...hint].join("\n") };
}

async function checkReleases(): Promise<Outcome> {
  const complaints = await splitReleases(root);
  return { ok: complaints.length === 0, output: complaints.join("\n") };
}

function checkPages(): Outcome {
  const pages = ["*.md", "docs/**/*.md", "{packages/*,examples}/README.md", "packages/*/src/**/*.ts"];
  const files = globSync(pages, { cwd: root, exclude: ["**/*.test.ts", "**/*.test-d.ts", "docs/site/**"] });
  const { count, complaints } = checkSamples(root, files.toSorted());
  // None at all would mean that they are not found any more.
  return { ok: count > 0 && complaints.length === 0, output: complaints.join("\n") || "There is no sample." };
}
