import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { afterEach, describe, expect, inject, it } from "vitest";

let demo: ChildProcess | null = null;

afterEach(() => {
  demo?.kill("SIGKILL");
});

/** Starts the demo on the server of the tests; `react` sees all that it has said so far, each time it says something. */
async function runDemo(args: string[], react: (output: string, demo: ChildProcess) => void = () => undefined) {
  const started = spawn(
    process.execPath,
    ["--disable-warning=ExperimentalWarning", "--conditions=@pup/source", `${import.meta.dirname}/start.ts`, ...args],
    {
      env: { ...process.env, PUP_TEST_DATABASE_URL: inject("postgresUrl") },
      stdio: ["ignore", "pipe", "pipe"],
    },
  );
  demo = started;
  let output = "";
  let errors = "";
  started.stdout.setEncoding("utf8").on("data", (text: string) => {
    output += text;
    react(output, started);
  });
  started.stderr.setEncoding("utf8").on("data", (text: string) => {
    errors += text;
  });
  const [code] = await once(started, "close");
  const lastLine = output.trimEnd().split("\n").at(-1) ?? "";
  return { code, errors, output, pids: workerPids(output), result: lastLine === "" ? null : JSON.parse(lastLine) };
}

function workerPids(output: string): number[] {
  const [, list = ""] = /\(pids ([\d, ]+)\)/.exec(output) ?? [];
  return list.split(", ").filter(Boolean).map(Number);
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

describe("npm start", () => {
  it.each(["--notify", "--poll"])("keeps the promise with %s", { timeout: 60_000 }, async (dispatcher) => {
    const { code, errors, result } = await runDemo([dispatcher, "--seconds", "5"]);

    expect(errors).toBe("");
    expect(result).toEqual({
      events: expect.any(Number),
      deliveries: expect.any(Number),
      lost: 0,
      duplicates: 0,
      outOfOrder: 0,
      wrongRows: 0,
      wrongAppends: 0,
      workers: 4,
      failoverMs: expect.any(Number),
      verdict: "ok",
    });
    expect(result.deliveries).toBeGreaterThan(result.events);
    expect(code).toBe(0);
  });

  it("fails, and says why, when a worker dies that nobody has killed", async () => {
    const { code, errors, result, pids } = await runDemo([], (output) => {
      const [pid] = workerPids(output);
      if (pid && isAlive(pid)) process.kill(pid, "SIGKILL");
    });

    expect(errors).toContain("ended by itself (SIGKILL)");
    expect(result).toMatchObject({ verdict: "failed" });
    expect(code).toBe(1);
    expect(pids.filter(isAlive)).toEqual([]);
  });

  it("leaves nothing behind when it is interrupted", async () => {
    const { code, result, pids } = await runDemo([], (output, demo) => {
      if (workerPids(output).length > 0 && !demo.killed) demo.kill("SIGINT");
    });

    expect(result).toMatchObject({ verdict: "failed", reason: expect.stringContaining("SIGINT") });
    expect(code).toBe(130);
    expect(pids).toHaveLength(3);
    expect(pids.filter(isAlive)).toEqual([]);
  });

  it("refuses arguments that make no sense", async () => {
    const { code, errors, output } = await runDemo(["--seconds", "soon"]);
    expect({ code, output }).toEqual({ code: 2, output: "" });
    expect(errors).toContain("Expected a whole number from 5 to 600.");
  });
});
