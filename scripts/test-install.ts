// Publishes all packages to a registry on loopback with changesets' own commands, installs them as users do, and uses them:
//   npm run test:install
// What each installation brings is compared with docs/installing.md. Then a breaking change is released, to see what it does to
// who has the packages already. Takes some minutes; leaves nothing behind.
import { copyFile, mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createDatabase, startPostgres } from "../packages/testing/src/postgres/index.ts";
import { run } from "./install/commands.ts";
import { startRegistry } from "./install/registry.ts";
import { copyForRelease, type ReleaseCopy } from "./install/release.ts";
import { installAs, type User } from "./install/user.ts";
import { splitReleases } from "./release-plan.ts";

const root = join(import.meta.dirname, "..");
const tools = join(import.meta.dirname, "registry");
const platform = `${process.platform}-${process.arch}`;
const nodes = new Map([
  ["Node 22", join(tools, `node_modules/node22-${platform}/bin/node`)],
  ["Node 24", process.execPath],
  ["Node 26", join(tools, `node_modules/node26-${platform}/bin/node`)],
]);
const programs = new Map([
  ["@pup/dispatch-poll", { source: "examples/src/quick-start.ts", says: "order " }],
  ["@pup/dispatch-notify", { source: "examples/src/notify.ts", says: "handled " }],
]);

const folder = await mkdtemp(join(tmpdir(), "pup-install-"));
const upstream = (await run({ folder: root, env: process.env }, "npm", "config", "get", "registry")).trim();
const registry = await startRegistry(tools, join(folder, "registry"), upstream);
const postgres = await startPostgres();
try {
  const copy = await step("copying the working tree", () =>
    copyForRelease(root, { folder: join(folder, "release"), env: process.env }, registry.npmrc),
  );
  const released = await step("changeset version, release", () => copy.release());
  console.log(
    Object.entries(released)
      .map(([name, version]) => `  ${name}@${version}`)
      .join("\n"),
  );

  for (const [index, { asked, brought }] of (await readPromised()).entries()) {
    await step(`installing ${asked.join(" ")}`, async () => {
      const user = await install(`user-${index}`, asked);
      const found = await user.installed();
      const promised = [...asked, ...brought].sort();
      if (found.join() !== promised.join()) {
        throw new Error(`Expected ${promised.join(", ")} in node_modules, found ${found.join(", ")}.`);
      }
      await use(user, asked);
    });
  }
  await step("a breaking change of @pup/core", () => breakCore(copy));
} finally {
  await postgres.close();
  await registry.close();
  await rm(folder, { recursive: true });
}

/** Core breaks: alone it may not, with those that depend on it, whoever has the old ones stays on them, and the new ones fit together. */
async function breakCore(copy: ReleaseCopy): Promise<void> {
  const before = await copy.versions();
  await copy.addChangeset("core-breaks", { "@pup/core": "major" });
  const complaints = await splitReleases(copy.folder);
  console.log(complaints.map((complaint) => `  refused: ${complaint}`).join("\n"));
  expectSame("packages that may not be left behind", complaints.length, Object.keys(before).length - 1);

  const all = Object.keys(before).map((name) => [name, "major"] as const);
  await copy.addChangeset("core-breaks", Object.fromEntries(all));
  expectSame("complaints", (await splitReleases(copy.folder)).length, 0);
  const after = await copy.release();

  const packages = ["@pup/core", "@pup/store-pg", "@pup/coordinator", "@pup/dispatch-poll", "postgres", "kysely"];
  const old = await install(
    "user-old",
    packages.map((name) => (name in before ? `${name}@^${before[name]}` : name)),
  );
  await old.run("npm", "update", "--no-fund");
  const fresh = await install("user-new", packages);
  for (const [user, versions] of [
    [old, before],
    [fresh, after],
  ] as const) {
    const listed = JSON.parse(await user.run("npm", "ls", "@pup/core", "--all", "--json"));
    expectSame("copies of @pup/core", versionsOf(listed, "@pup/core").join(), versions["@pup/core"]);
  }
  console.log(`  who has ${before["@pup/core"]} stays there; who installs anew gets ${after["@pup/core"]}, once`);
}

interface Tree {
  readonly version?: string;
  readonly dependencies?: Readonly<Record<string, Tree>>;
}

function versionsOf(tree: Tree, wanted: string): readonly string[] {
  const found = Object.entries(tree.dependencies ?? {}).flatMap(([name, inner]) => [
    ...(name === wanted ? [inner.version ?? "none"] : []),
    ...versionsOf(inner, wanted),
  ]);
  return [...new Set(found)];
}

function expectSame(what: string, found: unknown, expected: unknown): void {
  if (found !== expected) throw new Error(`${what}: expected ${expected}, found ${found}.`);
}

async function step<Result>(title: string, work: () => Promise<Result>): Promise<Result> {
  const startedAt = Date.now();
  console.log(`${title} …`);
  const result = await work();
  console.log(`  ${((Date.now() - startedAt) / 1_000).toFixed(1)} s`);
  return result;
}

function install(name: string, packages: readonly string[]): Promise<User> {
  return installAs({ folder: join(folder, name), env: process.env }, registry.npmrc, packages);
}

/** The table of docs/installing.md. */
async function readPromised() {
  const page = await readFile(join(root, "docs/installing.md"), "utf8");
  const rows = page.split("\n").filter((line) => line.startsWith("| `"));
  return rows.map((row) => {
    const [asked = [], brought = []] = row
      .split("|")
      .slice(1)
      .map((cell) => [...cell.matchAll(/`([^`]+)`/g)].map(([, name]) => name as string));
    return { asked, brought };
  });
}

async function use(user: User, packages: readonly string[]): Promise<void> {
  const ours = packages.filter((name) => name.startsWith("@pup/"));
  for (const [name, node] of nodes) {
    for (const ourPackage of ours) {
      const exported = "(m) => { if (Object.keys(m).length === 0) throw new Error('exports nothing'); }";
      await user.run(node, "--eval", `(${exported})(require("${ourPackage}"))`);
      await user.run(node, "--input-type=module", "--eval", `(${exported})(await import("${ourPackage}"))`);
    }
    console.log(`  import and require() under ${name}`);
  }
  if (ours.includes("@pup/testing")) {
    await copyFile(join(import.meta.dirname, "install/consumer.test.mjs"), join(user.folder, "consumer.test.mjs"));
    for (const node of nodes.values()) await user.run(node, "--test", "consumer.test.mjs");
    console.log("  a unit test of a consumer under each Node");
  }
  const program = programs.get(ours.find((name) => programs.has(name)) ?? "");
  if (!program) return;
  // What a user of TypeScript has anyway.
  await user.run("npm", "install", "--no-save", "--no-fund", "typescript@6.0.3", "@types/node@22");
  for (const resolution of ["NodeNext", "Bundler"] as const) {
    const compiled = await user.compile(join(root, program.source), resolution);
    console.log(`  ${program.source} type-checks under ${resolution}`);
    for (const [name, node] of nodes) {
      const database = await createDatabase(postgres.url);
      await user.runUntil(node, compiled, program.says, { DATABASE_URL: database.url });
      await database.drop();
      console.log(`  … and runs under ${name}`);
    }
  }
}
