import { fork } from "node:child_process";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { DemoFailure } from "../demo-failure.ts";

/** A process that the demo has started. */
export interface Child {
  readonly name: string;
  readonly pid: number;
  readonly state: "running" | "stopping" | "stopped" | "killed" | "crashed";
  /**
   * Asks it to end, and waits until it has.
   *
   * @throws {@link DemoFailure} when it does not, or not in order
   */
  stop(): Promise<void>;
  /** Ends it at once, without a word to it. Fine when it has ended already. */
  kill(): Promise<void>;
}

/** What to start. */
export interface ChildOptions {
  readonly name: string;
  readonly program: URL;
  readonly databaseUrl: string;
  readonly dispatcher: "notify" | "poll";
  readonly onReport: (report: never) => void;
  /** It ended, and nobody had asked it to. */
  readonly onCrash: (failure: DemoFailure) => void;
}

// A worker gives its batches up after 30 s; nothing in the demo takes a fraction of that.
const stopLimitMs = 15_000;
const keptOutput = 4_000;

/** Starts a program in a process of its own. */
export function startChild({ name, program, databaseUrl, dispatcher, onReport, onCrash }: ChildOptions): Child {
  const child = fork(program, [dispatcher], {
    env: { ...process.env, DATABASE_URL: databaseUrl },
    stdio: ["ignore", "ignore", "pipe", "ipc"],
    // In a process group of its own: a terminal's Ctrl-C is for the demo, which then ends its processes itself.
    detached: true,
  });
  let state: Child["state"] = "running";
  let output = "";
  child.stderr?.setEncoding("utf8").on("data", (text: string) => {
    output = (output + text).slice(-keptOutput);
  });
  child.on("message", (report) => onReport(report as never));

  const failure = (what: string) => new DemoFailure(`${name} ${what}.${output ? ` It said:\n${output.trim()}` : ""}`);
  const exited = once(child, "close").then(([code, signal]: (number | string | null)[]) => {
    if (state === "running") {
      state = "crashed";
      onCrash(failure(`ended by itself (${signal ?? `exit code ${code}`})`));
    }
    return code;
  });

  return {
    name,
    pid: child.pid as number,
    get state() {
      return state;
    },
    async stop() {
      if (state !== "running") return;
      state = "stopping";
      child.kill("SIGTERM");
      const waiting = new AbortController();
      const tooLong = sleep(stopLimitMs, "too long" as const, { signal: waiting.signal }).catch(() => null);
      const code = await Promise.race([exited, tooLong]);
      waiting.abort();
      if (code === "too long") throw failure(`did not stop within ${stopLimitMs / 1_000} s of SIGTERM`);
      if (code !== 0) throw failure(`stopped with exit code ${code}`);
      state = "stopped";
    },
    async kill() {
      if (state === "running" || state === "stopping") state = "killed";
      child.kill("SIGKILL");
      await exited;
    },
  };
}
