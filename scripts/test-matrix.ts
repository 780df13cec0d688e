// Runs what depends on the server on every release of PostgreSQL that is installed, one after the other:
//   npm run test:matrix [-- --versions 12,15] [files …]
// Without files: all tests of store-pg and dispatch-notify that need a server, those of roles, TLS and secrets, and the torture
// run. Ends with a table and a plain line of the sums; fails if anything did.
import { parseArgs } from "node:util";
import { findBinaries } from "../packages/testing/src/postgres/index.ts";
import type { Results } from "./count-results.ts";
import { chooseVersions, formatMatrix, type MatrixRow } from "./matrix-table.ts";
import { runTorture } from "./run-torture.ts";
import { runVitest } from "./run-vitest.ts";

const files = [
  "packages/store-pg/",
  "packages/dispatch-notify/",
  "tests/src/roles",
  "tests/src/tls",
  "tests/src/secrets",
];

const { values, positionals } = readArguments();
const versions = readVersions(await findBinaries());
const rows: MatrixRow[] = [];
for (const version of versions) {
  console.log(`\nPostgreSQL ${version}`);
  rows.push(run(version));
}
console.log(`\n${formatMatrix(rows)}`);
process.exit(rows.some(({ failed }) => failed > 0) ? 1 : 0);

function run(version: number): MatrixRow {
  const startedAt = Date.now();
  // Without a server that runs already: it has one version only.
  const env = { ...process.env, PUP_TEST_POSTGRES_VERSION: String(version), PUP_TEST_DATABASE_URL: "" };
  const isWhole = positionals.length === 0;
  const args = ["--project", "int", ...(isWhole ? files : positionals)];
  const results = [
    runVitest(args, `.vitest/matrix-${version}.json`, env),
    ...(isWhole ? [runTorture(version, env)] : []),
  ];
  const sum = (key: keyof Results) => results.reduce((total, result) => total + result[key], 0);
  const seconds = (Date.now() - startedAt) / 1_000;
  return { version, passed: sum("passed"), failed: sum("failed"), skipped: sum("skipped"), seconds };
}

function readArguments() {
  try {
    return parseArgs({ options: { versions: { type: "string" } }, allowPositionals: true });
  } catch (error) {
    return refuse(error);
  }
}

function readVersions(installed: Awaited<ReturnType<typeof findBinaries>>): readonly number[] {
  try {
    return chooseVersions(
      values.versions,
      installed.map(({ major }) => major),
    );
  } catch (error) {
    return refuse(error);
  }
}

function refuse(error: unknown): never {
  console.error(`pup: ${(error as Error).message}`);
  process.exit(2);
}
