import { readFileSync } from "node:fs";
import { join } from "node:path";
import { defineConfig, type TestProjectInlineConfiguration } from "vitest/config";

const int: TestProjectInlineConfiguration["test"] = {
  globalSetup: ["./vitest.postgres.ts"],
  testTimeout: 30_000,
  hookTimeout: 60_000,
};

/** The oldest PostgreSQL that is installed here with everything else. */
function oldestServer(): string {
  const manifest = JSON.parse(readFileSync(join(import.meta.dirname, "package.json"), "utf8"));
  const suffix = `-${process.platform}-${process.arch}`;
  const names = Object.keys(manifest.optionalDependencies).filter((name) => /^pg\d+-/.test(name));
  const majors = names.filter((name) => name.endsWith(suffix)).map((name) => Number.parseInt(name.slice(2), 10));
  return String(Math.min(...majors));
}

/** Whoever names a server wants the tests on that one. */
const isServerNamed = ["PUP_TEST_DATABASE_URL", "PUP_TEST_POSTGRES", "PUP_TEST_POSTGRES_VERSION"].some(
  (name) => process.env[name],
);

/** What a release of the server can make different, on the oldest as well. All releases: `npm run test:matrix`. */
const intOldest: TestProjectInlineConfiguration = {
  extends: true,
  test: {
    ...int,
    name: "int-oldest",
    include: [
      "packages/store-pg/src/{contracts,notify}.int.test.ts",
      "packages/store-pg/src/{consumers,schema,workers}/*.int.test.ts",
      "packages/store-pg/src/session/transaction.int.test.ts",
    ],
    env: { PUP_TEST_POSTGRES_VERSION: oldestServer() },
  },
};

export default defineConfig({
  // Packages of this workspace see each other's sources: a test needs no build. A program that a test starts does the
  // same with `node --conditions=@pup/source`.
  ssr: { resolve: { conditions: ["@pup/source", "module", "node", "development|production"] } },
  test: {
    // Most of a run is waiting for servers: one file per core, where the default leaves a core free.
    maxWorkers: "100%",
    projects: [
      {
        extends: true,
        test: {
          name: "unit",
          include: ["{packages/*,examples,tests,bench}/src/**/*.test.ts", "scripts/*.test.ts"],
          exclude: ["**/*.int.test.ts"],
        },
      },
      {
        extends: true,
        test: {
          ...int,
          name: "int",
          include: [
            "packages/*/src/**/*.int.test.ts",
            "examples/src/**/*.int.test.ts",
            "tests/src/**/*.int.test.ts",
            "bench/src/**/*.int.test.ts",
          ],
        },
      },
      ...(isServerNamed ? [] : [intOldest]),
      {
        extends: true,
        test: {
          name: "types",
          include: [],
          typecheck: {
            enabled: true,
            only: true,
            include: ["packages/*/src/**/*.test-d.ts"],
            tsconfig: "./tsconfig.json",
            // Errors elsewhere belong to `npm run check`.
            ignoreSourceErrors: true,
          },
        },
      },
    ],
  },
});
