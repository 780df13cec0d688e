import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { chownSync, mkdirSync, readdirSync, realpathSync, statSync } from "node:fs";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { isReachableByAll, serverUser } from "./server-user.ts";

/** A temporary folder for one server, which does not outlive the process that made it. */
export interface ServerFolder {
  readonly path: string;
  /** The server's data folder, empty at first. */
  readonly data: string;
  /** Ends the server if it still runs, and removes the folder. */
  remove(): Promise<void>;
}

// Machine and process stand in the name, so that a folder says whose it is from its first moment on.
const prefix = `pup-pg-${hostname()}-`;

/**
 * Waits for the end of its standard input, then ends the server of the folder "$0" and removes the folder. The input is
 * a pipe from us, so it ends when we say so or when we are gone, however that happened.
 *
 * A process id alone proves nothing, the number may be somebody else's by now: the command line has to name the folder.
 */
const watchdog = `
  cat >/dev/null
  pid=$(head -n 1 "$0/data/postmaster.pid" 2>/dev/null)
  runs() {
    { tr '\\0' ' ' <"/proc/$pid/cmdline" || ps -o args= -p "$pid"; } 2>/dev/null | grep -qF "$0/data"
  }
  tries=0
  while runs; do
    case $tries in
      0) kill -INT "$pid" ;;
      100) kill -QUIT "$pid" ;;
      200) kill -KILL "$pid"; break ;;
    esac
    tries=$((tries + 1))
    sleep 0.05
  done
  # Whoever still writes here, an initdb for instance, gives up when its files are gone.
  tries=0
  until rm -rf "$0" 2>/dev/null || [ $tries -eq 100 ]; do
    tries=$((tries + 1))
    sleep 0.05
  done
`;

/** Makes a folder that the server's user can work in. */
export function createServerFolder(): ServerFolder {
  const path = join(temporaryFolder(), `${prefix}${process.pid}-${randomBytes(6).toString("hex")}`);
  // Before there is anything to guard, for we can be killed at any time. In a session of its own, out of reach of Ctrl-C.
  const guard = spawn("/bin/sh", ["-c", watchdog, path], {
    cwd: "/",
    detached: true,
    stdio: ["pipe", "ignore", "ignore"],
  });
  const gone = once(guard, "exit");
  // A program that forgets its server still ends, and the server with it.
  guard.unref();

  const data = join(path, "data");
  mkdirSync(path, { mode: 0o700 });
  mkdirSync(data, { mode: 0o700 });
  const user = serverUser();
  if (user !== undefined) for (const folder of [path, data]) chownSync(folder, user.uid, user.gid);

  return {
    path,
    data,
    async remove() {
      guard.ref();
      guard.stdin.end();
      await gone;
    },
  };
}

/**
 * Ends the servers and removes the folders of dead processes whose watchdog died as well, in a power cut for instance.
 * Returns the folders.
 */
export async function sweepLeftovers(): Promise<string[]> {
  const base = temporaryFolder();
  const ours = [process.getuid?.(), serverUser()?.uid];
  const leftovers = readdirSync(base)
    .filter((name) => name.startsWith(prefix) && !isAlive(Number.parseInt(name.slice(prefix.length), 10)))
    .map((name) => join(base, name))
    .filter((path) => ours.includes(statSync(path, { throwIfNoEntry: false })?.uid ?? -1));
  await Promise.all(
    leftovers.map((path) => once(spawn("/bin/sh", ["-c", watchdog, path], { stdio: "ignore" }), "exit")),
  );
  return leftovers;
}

function temporaryFolder(): string {
  const own = realpathSync(tmpdir());
  return serverUser() === undefined || isReachableByAll(own) ? own : "/tmp";
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}
