import { defineConfig } from "vitest/config";

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
          include: ["{packages/*,examples,tests}/src/**/*.test.ts", "scripts/**/*.test.ts"],
          exclude: ["**/*.int.test.ts"],
        },
      },
      {
        extends: true,
        test: {
          name: "int",
          include: ["packages/*/src/**/*.int.test.ts", "examples/src/**/*.int.test.ts", "tests/src/**/*.int.test.ts"],
          globalSetup: ["./vitest.postgres.ts"],
          testTimeout: 30_000,
          hookTimeout: 60_000,
        },
      },
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
