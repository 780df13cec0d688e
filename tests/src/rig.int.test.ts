import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { afterAll, describe, expect, it, vi } from "vitest";

const rigs = new Set<ChildProcess>();
afterAll(() => {
  for (const rig of rigs) rig.kill("SIGKILL");
});

/** Runs a command of the rig; `react` is told once, when the workers run, and gets their process ids. */
async function run(command: "torture" | "chaos", args: string[], react: (pids: number[], rig: ChildProcess) => void) {
  const program = `${import.meta.dirname}/${command}.ts`;
  const node = ["--disable-warning=ExperimentalWarning", "--conditions=@pup/source", program, ...args];
  const rig = spawn(process.execPath, node, { stdio: ["ignore", "pipe", "pipe"] });
  rigs.add(rig);
  let output = "";
  let told = "";
  let pids: number[] = [];
  rig.stdout.setEncoding("utf8").on("data", (text: string) => {
    output += text;
  });
  rig.stderr.setEncoding("utf8").on("data", (text: string) => {
    told += text;
    const [, list] = /\(pids ([\d, ]+)\)/.exec(told) ?? [];
    if (!list || pids.length > 0) return;
    pids = list.split(", ").map(Number);
    react(pids, rig);
  });
  const [code] = await once(rig, "close");
  rigs.delete(rig);
  const lines = output.trimEnd().split("\n");
  return { code, told, lines: lines.length, outcome: output === "" ? null : JSON.parse(lines.at(-1) ?? ""), pids };
}

const letRun = () => undefined;

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

// Side by side: most of the time, one waits for its processes to start, or for time to pass.
describe("npm run torture", () => {
  it.concurrent("finds every event handled once and in order", { timeout: 90_000 }, async () => {
    const { code, told, lines, outcome } = await run("torture", ["--seconds", "4", "--seed", "1", "--json"], letRun);

    expect(outcome.reasons).toEqual([]);
    expect(outcome).toMatchObject({ verdict: "ok", lost: 0, duplicates: 0, outOfOrder: 0, crashes: 0, faults: {} });
    // All of what it is to try did happen.
    const { appends, prepared, conflicts, repetitions } = outcome.appends;
    expect(Math.min(appends, prepared, conflicts, repetitions, outcome.appends["savepoints undone"])).toBeGreaterThan(
      0,
    );
    expect(outcome.delivered).toBeGreaterThan(outcome.committed);
    expect(outcome.rolledBack).toBeGreaterThan(10);
    expect({ code, lines, told }).toEqual({ code: 0, lines: 1, told: "" });
  });

  it.concurrent("finds lost events where consumers read up to the newest position", { timeout: 90_000 }, async () => {
    const { code, outcome } = await run("torture", ["--break=settled", "--seconds", "3"], letRun);

    expect(outcome).toMatchObject({ verdict: "failed", break: "settled", duplicates: 0 });
    expect(outcome.lost).toBeGreaterThan(0);
    expect(code).toBe(1);
  });

  it.concurrent("leaves nothing behind when it is interrupted", { timeout: 90_000 }, async () => {
    const { code, outcome, pids } = await run("torture", [], (_, rig) => rig.kill("SIGINT"));

    expect(outcome).toMatchObject({ verdict: "failed", reasons: [expect.stringContaining("SIGINT")] });
    expect(code).toBe(130);
    expect(pids.filter(isAlive)).toEqual([]);
  });
});

describe("npm run chaos", () => {
  it.concurrent("finds every event handled once and in order, whatever is broken meanwhile", {
    timeout: 120_000,
  }, async () => {
    const { code, outcome } = await run("chaos", ["--seconds", "10", "--seed", "2"], letRun);

    expect(outcome.reasons).toEqual([]);
    expect(outcome).toMatchObject({ verdict: "ok", lost: 0, duplicates: 0, outOfOrder: 0, crashes: 0 });
    expect(Object.keys(outcome.faults).length).toBeGreaterThan(0);
    expect(code).toBe(0);
  });

  it.concurrent("takes its workers with it when it is killed, a frozen one too", { timeout: 90_000 }, async () => {
    const { pids } = await run("chaos", [], ([first = 0], rig) => {
      process.kill(first, "SIGSTOP");
      rig.kill("SIGKILL");
    });

    expect(pids).toHaveLength(5);
    await vi.waitFor(() => expect(pids.filter(isAlive)).toEqual([]), { timeout: 20_000, interval: 50 });
  });
});
