import { spawn } from "node:child_process";
import { once } from "node:events";
import { constants } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { text } from "node:stream/consumers";
import { startPostgres } from "@pup/testing/postgres";
import postgres from "postgres";
import { describe, expect, inject, it } from "vitest";

/** Starts the command on a server that runs, and need not put anything on disk to show that the command works. */
function start(postgresUrl: string, ...args: readonly string[]) {
  const program = join(import.meta.dirname, "bench.ts");
  return spawn(process.execPath, ["--conditions=@pup/source", program, "--smoke", ...args], {
    env: { ...process.env, PUP_TEST_DATABASE_URL: postgresUrl },
    stdio: ["ignore", "pipe", "pipe"],
  });
}

async function bench(...args: readonly string[]) {
  const child = start(inject("postgresUrl"), ...args);
  const [stdout, stderr, [status]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, "close")]);
  return { status, stdout, stderr };
}

// Everything in it is short; on a machine that is busy with other tests it still takes its time.
describe("The benchmark", { timeout: 120_000 }, () => {
  it("prints a line of JSON per figure and nothing else, with pup, the work by hand and the peers", async () => {
    const { status, stdout, stderr } = await bench("append", "--json");

    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    const lines = stdout
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect(lines.map((line) => line.case)).toContain("append: 2 connections, 1 event: throughput");
    for (const line of lines) {
      expect(line).toMatchObject({ rounds: 1, pup: expect.any(Number), raw: expect.any(Number) });
      expect(line).toMatchObject({ ratioToRaw: expect.any(Number), ratioToPeer: expect.any(Number) });
    }
  });

  it("shows people how it goes, and a table at the end", async () => {
    const { status, stdout, stderr } = await bench("scoped");

    expect({ status, stdout }).toEqual({ status: 0, stdout: expect.stringMatching(/^\| +\| +pup \| +raw \|/) });
    expect(stderr).toContain("1 % of the events – pup: time");
  });

  it("leaves nothing behind when it is interrupted", async () => {
    // One of its own: other tests have databases on the one of this run.
    await using server = await startPostgres({ source: "binaries" });
    const child = start(server.url, "append", "--rounds", "9999");
    const told = createInterface(child.stderr)[Symbol.asyncIterator]();
    for (let line = await told.next(); !line.value?.includes("pup: throughput"); ) line = await told.next();

    child.kill("SIGINT");
    const [status] = await once(child, "close");

    expect(status).toBe(128 + constants.signals.SIGINT);
    const sql = postgres(server.url, { max: 1 });
    const left = await sql`SELECT datname FROM pg_database WHERE datname LIKE 'pup_test_%'`;
    await sql.end();
    expect([...left]).toEqual([]);
  });
});
