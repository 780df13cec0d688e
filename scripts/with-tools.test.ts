import { type SpawnSyncReturns, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { afterAll, describe, expect, it, vi } from "vitest";

const program = join(import.meta.dirname, "with-tools.mjs");
const folder = mkdtempSync(join(tmpdir(), "pup-tools-"));
afterAll(() => rmSync(folder, { recursive: true }));

/** The environment with an `npx` that does what `script` says, so that nothing is installed. */
function withNpx(script: string, env: NodeJS.ProcessEnv = {}): NodeJS.ProcessEnv {
  const npx = join(folder, "npx");
  writeFileSync(npx, `#!/bin/sh\n${script}\n`);
  chmodSync(npx, 0o755);
  return { ...process.env, ...env, PATH: [folder, process.env.PATH].join(delimiter) };
}

function run(args: readonly string[], env: NodeJS.ProcessEnv): SpawnSyncReturns<string> {
  return spawnSync(process.execPath, [program, ...args], { env, encoding: "utf8" });
}

describe("with-tools", () => {
  it.each([
    ["npm start --seconds 5", ["start", "5"], { npm_config_seconds: "true" }, "npm run start -- --seconds 5"],
    ["npm start --seconds=5", ["start"], { npm_config_seconds: "5" }, "npm run start -- --seconds=5"],
    ["npm start 5", ["start", "5"], {}, "npm run start -- 5"],
    ["npm run chaos --seed 1", ["chaos", "1"], { npm_config_seed: "true" }, "npm run chaos -- --seed 1"],
    ["npm run torture --break=fence", ["torture"], { npm_config_break: "fence" }, "npm run torture -- --break=fence"],
    ["npm run chaos 7", ["chaos", "7"], {}, "npm run chaos -- 7"],
    [
      "npm run measure gaps --rounds 3",
      ["measure", "gaps", "3"],
      { npm_config_rounds: "true" },
      "npm run measure -- gaps --rounds 3",
    ],
  ])("refuses %s, where npm has swallowed the flag, and says what was meant", (_, args, env, meant) => {
    const { status, stderr } = run(args, withNpx("exit 0", env));

    expect(status).toBe(2);
    expect(stderr).toContain(`Perhaps you meant: ${meant}\n`);
  });

  it("shows what a failed install said, and fails like it", () => {
    const { status, stderr } = run(["test"], withNpx("echo no such package; echo really not >&2; exit 7"));

    expect(status).toBe(7);
    expect(stderr).toMatch(/failed\nno such package\nreally not\n/);
  });

  it("keeps the settings of the npm that runs it from the one that it runs, except where to fetch from", () => {
    const seen = join(folder, "environment");
    run(
      ["test"],
      withNpx(`env > ${seen}; exit 1`, { npm_config_yes: "", npm_lifecycle_event: "test", npm_config_cafile: "/ca" }),
    );

    const names = readFileSync(seen, "utf8").match(/^npm_\w+=.*/gm);
    expect(names).toContain("npm_config_cafile=/ca");
    expect(names?.filter((line) => /^npm_(lifecycle|package|config_yes)/.test(line))).toEqual([]);
  });

  it.each([
    ["SIGTERM", 143],
    ["SIGINT", 130],
  ] as const)("hands %s on once, and ends as a shell would", async (signal, status) => {
    const got = join(folder, signal);
    const trap = `trap 'echo got >> ${got}; kill -9 $!; exit ${status}' TERM INT`;
    const env = withNpx(`${trap}; sleep 10 & echo ready > ${got}; wait`);
    const child = spawn(process.execPath, [program, "test"], { env, stdio: "ignore" });
    await vi.waitFor(() => expect(existsSync(got)).toBe(true), 5_000);

    child.kill(signal);
    child.kill(signal);

    expect(await once(child, "exit")).toEqual([status, null]);
    expect(readFileSync(got, "utf8")).toBe("ready\ngot\n");
  });
});
