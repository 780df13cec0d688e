import { spawn } from "node:child_process";

/**
 * Waits for the end of its standard input, then kills the process "$0" if that still is what it was: a stopped process does not
 * notice that its parent is gone.
 */
const guard = `
  cat >/dev/null
  case "$(ps -o args= -p "$0" 2>/dev/null)" in
    *worker.fixture*) kill -KILL "$0" ;;
  esac
`;

/** Sees to it that a process does not outlive this one, however this one ends. Returns what lets it be. */
export function guardProcess(pid: number): () => void {
  // In a session of its own, out of reach of a Ctrl-C.
  const shell = spawn("/bin/sh", ["-c", guard, String(pid)], { stdio: ["pipe", "ignore", "ignore"], detached: true });
  shell.on("error", () => undefined);
  shell.stdin.on("error", () => undefined);
  shell.unref();
  return () => shell.kill("SIGKILL");
}
