// Runs a task with the pinned tools, on a machine that has no more than git, npm and Node 18 or later: installs what the
// lockfile names, builds the packages where the task needs it, then runs the task on the Node that came with the install.
// Everything is fetched through npm, and stays in this folder and in the caches of npm and pnpm.
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { constants } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const pnpm = JSON.parse(readFileSync(join(root, "package.json"), "utf8")).packageManager;
const node = join(root, `node_modules/node-${process.platform}-${process.arch}/bin/node`);
/** Flags of the programs that torture workers. */
const rigFlags = ["seconds", "seed", "json", "break", "postgres"];

/**
 * What `npm run` may be asked for. `program` runs on the pinned Node and gets the arguments; `built` says that it needs
 * the packages as npm would publish them, while tests run on the sources. `words` says whether it takes arguments that
 * are no flags; `flags` are some that people forget to put behind `--`. `workspace` names one of its own with
 * what is too much to be fetched for every task.
 */
const tasks = {
  start: { program: ["examples/src/start.ts"], built: true, words: false, flags: ["seconds", "notify", "poll"] },
  test: { program: ["scripts/test.ts"], built: false, words: true, flags: ["project", "reporter", "t", "watch"] },
  example: { program: onSources("examples/src/example.ts"), built: false, words: true, flags: [] },
  simulate: {
    program: onSources("tests/src/simulate.ts"),
    built: false,
    words: false,
    flags: ["seeds", "from", "seed", "break", "threads", "stats", "json"],
  },
  model: { program: onSources("tests/src/model.ts"), built: false, words: false, flags: ["break", "small"] },
  torture: { program: onSources("tests/src/torture.ts"), built: false, words: false, flags: rigFlags },
  chaos: { program: onSources("tests/src/chaos.ts"), built: false, words: false, flags: rigFlags },
  measure: {
    program: onSources("tests/src/measure.ts"),
    built: false,
    words: true,
    subcommands: true,
    flags: ["rounds", "pooler_rounds", "workers", "consumers", "json"],
  },
  bench: {
    program: onSources("bench/src/bench.ts"),
    built: false,
    words: true,
    flags: ["rounds", "quick", "smoke", "huge", "json", "write_docs"],
  },
  "test:matrix": {
    program: ["scripts/test-matrix.ts"],
    built: false,
    words: true,
    flags: [],
    workspace: "scripts/postgres-servers",
  },
  "test:install": {
    program: onSources("scripts/test-install.ts"),
    built: false,
    words: false,
    flags: [],
    workspace: "scripts/registry",
  },
  docs: { program: ["scripts/build-site.ts"], built: false, words: false, flags: ["serve"], workspace: "docs/site" },
  release: { program: ["scripts/release.ts"], built: true, words: false, flags: [] },
  check: { program: ["scripts/check.ts"], built: true, words: true, flags: ["write"] },
  build: { program: [], built: true, words: false, flags: [] },
  format: {
    program: ["node_modules/@biomejs/biome/bin/biome", "check", "--write"],
    built: false,
    words: true,
    flags: [],
  },
  changeset: { program: ["node_modules/@changesets/cli/bin.js"], built: false, words: true, flags: ["empty"] },
};

/** What runs a program of the workspace on the sources of the packages, without a build. */
function onSources(program) {
  return ["--conditions=@pup/source", program];
}

const [name, ...args] = process.argv.slice(2);
const task = tasks[name];
if (!task) fail(`Expected one of ${Object.keys(tasks).join(", ")}, got ${name ?? "nothing"}.`);
refuseSwallowedFlags();

const env = cleanEnvironment();
/** The command under way, which gets the signals. */
let running;
relaySignals();
await step("installing", "npx", ["-y", pnpm, "install", "--frozen-lockfile"]);
env.PATH = [dirname(node), join(root, "node_modules/.bin"), env.PATH].join(delimiter);
if (task.workspace) {
  await step(`installing ${task.workspace}`, "npx", [
    "-y",
    pnpm,
    "--dir",
    task.workspace,
    "install",
    "--frozen-lockfile",
  ]);
  // Where Node looks for packages that it has found nowhere else.
  env.NODE_PATH = [join(root, task.workspace, "node_modules"), env.NODE_PATH].filter(Boolean).join(delimiter);
}
if (task.built) await step("building", "npx", ["-y", pnpm, "turbo", "run", "build", "--output-logs=errors-only"]);
if (task.program.length > 0) {
  const { status } = await run(node, [...task.program, ...args], { stdio: "inherit" });
  process.exit(status);
}

/** npm keeps flags to itself unless they stand behind `--`, and hands on only the words between them. */
function refuseSwallowedFlags() {
  const swallowed = task.flags.flatMap((flag) => {
    const value = process.env[`npm_config_${flag}`];
    if (value === undefined) return [];
    const option = `--${flag.replaceAll("_", "-")}`;
    return value === "true" ? [option] : [`${option}=${value}`];
  });
  const stray = !task.words && args.length > 0 && !args[0].startsWith("-");
  if (swallowed.length === 0 && !stray) return;
  // The name of a subcommand comes first.
  const words = task.subcommands ? args.splice(0, 1) : [];
  const meant = ["npm", "run", name, "--", ...words, ...swallowed, ...args].join(" ");
  fail(`npm keeps flags for itself unless they stand behind "--". Perhaps you meant: ${meant}`);
}

/** What the outer npm sets for its own run must not steer the inner npx and pnpm, except where to fetch from. */
function cleanEnvironment() {
  const kept = /^npm_config_(cache|cafile|registry|https?_proxy|proxy|noproxy)$/;
  const inherited = Object.entries(process.env).filter(([key]) => !key.startsWith("npm_") || kept.test(key));
  return { ...Object.fromEntries(inherited), TURBO_TELEMETRY_DISABLED: "1", DO_NOT_TRACK: "1" };
}

/** Runs one preparation quietly; a failure shows everything it said and ends the task. */
async function step(title, command, commandArgs) {
  const startedAt = Date.now();
  process.stderr.write(`pup: ${title} … `);
  const { status, output } = await run(command, commandArgs, { stdio: ["ignore", "pipe", "pipe"] });
  if (status === 0) {
    process.stderr.write(`${((Date.now() - startedAt) / 1000).toFixed(1)} s\n`);
    return;
  }
  process.stderr.write(`failed\n${output}\n`);
  process.exit(status);
}

/**
 * Runs a command in a process group of its own, so that a signal reaches it once: a terminal's Ctrl-C goes to the whole
 * group and npm hands it on as well, while a second one often means "at once" to whoever gets it.
 */
function run(command, commandArgs, options) {
  return new Promise((resolve) => {
    const child = spawn(command, commandArgs, { ...options, cwd: root, env, detached: true });
    let output = "";
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding("utf8").on("data", (text) => {
        output += text;
      });
    }
    running = child;
    child.on("error", (error) => fail(`Cannot run ${command}: ${error.message}`));
    child.on("close", (code, signal) => {
      running = undefined;
      resolve({ status: code ?? 128 + constants.signals[signal], output });
    });
  });
}

/** Listens for as long as this program runs: a second signal must not end it before it has told how the command ended. */
function relaySignals() {
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT"]) {
    let relayedAt = 0;
    process.on(signal, () => {
      if (!running) process.exit(128 + constants.signals[signal]);
      if (Date.now() - relayedAt < 300) return;
      relayedAt = Date.now();
      try {
        process.kill(-running.pid, signal);
      } catch {
        // Gone already; its exit is on its way here.
      }
    });
  }
}

function fail(message) {
  console.error(`pup: ${message}`);
  process.exit(2);
}
