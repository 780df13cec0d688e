import { type ChildProcess, execFile, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { closeSync, cpSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { basename, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { type PostgresBinaries, requireBinaries } from "./binaries.ts";
import { createServerFolder, type ServerFolder, sweepLeftovers } from "./server-folder.ts";
import { isReachableByAll, serverUser } from "./server-user.ts";
import type { PostgresServer, StopMode } from "./start-postgres.ts";

/** What a server is started with, complete but for what may be left to chance. */
export interface ServerSpec {
  readonly version: number | undefined;
  readonly port: number | undefined;
  readonly settings: Readonly<Record<string, string | number | boolean>>;
}

/** Everything one server is made of, up to the process that runs it. */
interface Installation {
  readonly binaries: PostgresBinaries;
  readonly folder: ServerFolder;
  readonly settings: ServerSpec["settings"];
}

const startTimeoutMs = 30_000;
const stopSignals = { fast: "SIGINT", immediate: "SIGQUIT" } as const satisfies Record<StopMode, NodeJS.Signals>;

/** Starts a server from the installed binaries, in a temporary folder of its own. */
export async function startLocalServer({ version, port, settings }: ServerSpec): Promise<PostgresServer> {
  const installed = await requireBinaries(version);
  await sweepLeftovers();
  const folder = createServerFolder();
  try {
    const installation = { binaries: reachableBinaries(installed, folder), folder, settings };
    const password = await initialise(installation);
    const running = port === undefined ? await launchOnFreePort(installation) : await launch(installation, port);
    return controlServer(installation, password, running);
  } catch (error) {
    await folder.remove();
    throw error;
  }
}

interface Running {
  readonly port: number;
  readonly postmaster: ChildProcess;
}

function controlServer(installation: Installation, password: string, running: Running): PostgresServer {
  const { folder } = installation;
  const { port } = running;
  let { postmaster } = running;

  async function stop(mode: StopMode = "fast") {
    if (!isRunning(postmaster)) return;
    const gone = once(postmaster, "exit");
    postmaster.ref();
    postmaster.kill(stopSignals[mode]);
    await gone;
  }

  async function start() {
    if (!isRunning(postmaster)) ({ postmaster } = await launch(installation, port));
  }

  async function close() {
    await stop();
    await folder.remove();
  }

  return {
    url: `postgres://postgres:${password}@127.0.0.1:${port}/postgres`,
    restartable: true,
    get pid() {
      return isRunning(postmaster) ? postmaster.pid : undefined;
    },
    log: () => readLog(folder),
    stop,
    start,
    async restart({ mode } = {}) {
      await stop(mode);
      await start();
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}

/**
 * The programs in a place where the server's user can run them: a copy beside the data when the installed ones lie
 * behind a closed door, as in a clone under root's home.
 */
function reachableBinaries(binaries: PostgresBinaries, folder: ServerFolder): PostgresBinaries {
  if (serverUser() === undefined || isReachableByAll(binaries.postgres)) return binaries;
  const copy = join(folder.path, "programs");
  cpSync(binaries.folder, copy, { recursive: true, verbatimSymlinks: true });
  const inCopy = (program: string) => join(copy, "bin", basename(program));
  return { ...binaries, folder: copy, initdb: inCopy(binaries.initdb), postgres: inCopy(binaries.postgres) };
}

/** Makes the database files. Returns the superuser's password. */
async function initialise({ binaries, folder }: Installation): Promise<string> {
  // Everybody on the machine can reach the port, and a superuser can run programs on the server.
  const password = randomBytes(16).toString("hex");
  const passwordFile = join(folder.path, "password");
  writeFileSync(passwordFile, password);
  const identity = ["-U", "postgres", "-A", "scram-sha-256", `--pwfile=${passwordFile}`];
  // Named, because 12 and 13 otherwise take an encoding from the environment that is no UTF-8.
  const locale = ["-E", "UTF8", `--locale=${process.platform === "darwin" ? "en_US.UTF-8" : "C.UTF-8"}`];
  try {
    await promisify(execFile)(binaries.initdb, ["-D", folder.data, ...identity, ...locale, "--no-sync"], {
      ...serverUser(),
      cwd: folder.path,
      env: serverEnvironment(),
    });
  } catch (error) {
    throw new Error(`initdb of PostgreSQL ${binaries.major} failed: ${(error as Error).message}`, { cause: error });
  }
  return password;
}

async function launchOnFreePort(installation: Installation): Promise<Running> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await launch(installation, await findFreePort());
    } catch (error) {
      // Between finding and using it, somebody else can take the port.
      if (attempt === 5 || !/Address already in use/.test(readLog(installation.folder))) throw error;
    }
  }
}

/** Starts the server process and waits until it accepts connections. */
async function launch({ binaries, folder, settings }: Installation, port: number): Promise<Running> {
  const deadline = Date.now() + startTimeoutMs;
  for (;;) {
    const logged = readLog(folder).length;
    const postmaster = spawnServer({ binaries, folder, settings }, port);
    while (isRunning(postmaster) && Date.now() < deadline) {
      if (isReady(folder, postmaster)) return { port, postmaster };
      await sleep(5);
    }
    postmaster.kill("SIGKILL");
    const said = readLog(folder).slice(logged);
    // After a kill -9 of the postmaster, its sessions take a moment to notice.
    if (Date.now() < deadline && /pre-existing shared memory block/.test(said)) await sleep(50);
    else throw new Error(`PostgreSQL ${binaries.major} did not start on port ${port}:\n${said}`);
  }
}

function spawnServer({ binaries, folder, settings }: Installation, port: number): ChildProcess {
  const all = { listen_addresses: "127.0.0.1", port, unix_socket_directories: "", ...settings };
  const args = Object.entries(all).flatMap(([name, value]) => ["-c", `${name}=${value}`]);
  // A file, not a pipe: a pipe without a reader would block the server once we are gone.
  const log = openSync(logFile(folder), "a");
  try {
    const postmaster = spawn(binaries.postgres, ["-D", folder.data, ...args], {
      ...serverUser(),
      cwd: folder.path,
      env: serverEnvironment(),
      stdio: ["ignore", log, log],
      // In a session of its own: Ctrl-C is for us, and we decide when the server goes.
      detached: true,
    });
    postmaster.unref();
    return postmaster;
  } finally {
    closeSync(log);
  }
}

/** Reads what the server itself says: the last line of its pid file is its state. */
function isReady(folder: ServerFolder, postmaster: ChildProcess): boolean {
  try {
    const lines = readFileSync(join(folder.data, "postmaster.pid"), "utf8").trimEnd().split("\n");
    // The file of a server that crashed still says "ready".
    return Number(lines[0]) === postmaster.pid && lines.at(-1)?.trim() === "ready";
  } catch {
    return false;
  }
}

function isRunning(process: ChildProcess): boolean {
  return process.pid !== undefined && process.exitCode === null && process.signalCode === null;
}

/** The environment without what could steer the server or initdb, such as `PGDATA` and `LC_ALL`. */
function serverEnvironment(): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(PG|LC_|LANG)/.test(name)));
}

function logFile(folder: ServerFolder): string {
  return join(folder.path, "server.log");
}

function readLog(folder: ServerFolder): string {
  try {
    return readFileSync(logFile(folder), "utf8");
  } catch {
    return "";
  }
}

/** A port of 127.0.0.1 that nobody uses at this moment. */
export async function findFreePort(): Promise<number> {
  const probe = createServer().listen(0, "127.0.0.1");
  await once(probe, "listening");
  const { port } = probe.address() as { port: number };
  probe.close();
  await once(probe, "close");
  return port;
}
