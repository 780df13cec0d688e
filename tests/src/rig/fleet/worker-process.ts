import { fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { settingsToEnv, type WorkerOrder, type WorkerReport, type WorkerSettings } from "../worker/settings.ts";
import { guardProcess } from "./guard.ts";

/** A worker process of the rig. */
export interface WorkerProcess {
  readonly pid: number;
  /** The worker's id; null until it has told that it runs. */
  readonly workerId: string | null;
  readonly state: "running" | "stopping" | "stopped" | "killed" | "crashed";
  /** As far as we have stopped it ourselves. */
  readonly frozen: boolean;
  /** Resolves when it runs, and when it has ended before. */
  readonly started: Promise<void>;
  order(order: WorkerOrder): void;
  /** Position up to which the batch goes before which it was last ordered to freeze, and has; null until then. */
  readonly frozenBefore: bigint | null;
  /** SIGSTOP. */
  freeze(): void;
  /** SIGCONT. Does no harm to a process that runs. */
  thaw(): void;
  /** SIGKILL. Resolves when it is gone; fine when it has ended already. */
  kill(): Promise<void>;
  /** SIGTERM. Resolves with what is wrong with how it ended; null when nothing is. */
  stop(limitMs: number): Promise<string | null>;
}

export interface WorkerProcessOptions {
  readonly settings: WorkerSettings;
  /** By how much it is wrong about the time of day, in milliseconds. */
  readonly clockSkewMs: number;
  readonly onReport: (report: WorkerReport) => void;
  /** It ended, and nobody had asked it to. */
  readonly onCrash: (reason: string) => void;
}

const program = fileURLToPath(new URL("../worker/worker.fixture.ts", import.meta.url));
const skewClock = new URL("../worker/skew-clock.ts", import.meta.url).href;
const keptOutput = 8_000;

/** Starts a worker in a process of its own. */
export function startWorkerProcess(options: WorkerProcessOptions): WorkerProcess {
  const { settings, clockSkewMs, onReport, onCrash } = options;
  const skewed = clockSkewMs === 0 ? [] : ["--import", skewClock];
  const child = fork(program, {
    execArgv: ["--disable-warning=ExperimentalWarning", "--conditions=@pup/source", ...skewed],
    env: { ...process.env, ...settingsToEnv(settings), PUP_RIG_CLOCK_SKEW_MS: String(clockSkewMs) },
    stdio: ["ignore", "ignore", "pipe", "ipc"],
    // In a process group of its own: a terminal's Ctrl-C is for the rig, which then ends its processes itself.
    detached: true,
  });
  const pid = child.pid as number;
  const letBe = guardProcess(pid);
  const { promise: started, resolve: hasStarted } = Promise.withResolvers<void>();
  let state: WorkerProcess["state"] = "running";
  let workerId: string | null = null;
  let frozen = false;
  let frozenBefore: bigint | null = null;
  let output = "";
  child.stderr?.setEncoding("utf8").on("data", (text: string) => {
    output = (output + text).slice(-keptOutput);
  });
  child.on("message", (report: WorkerReport) => {
    if (report.kind === "started") {
      workerId = report.workerId;
      hasStarted();
    }
    if (report.kind === "freezing") {
      frozen = true;
      frozenBefore = BigInt(report.to);
    }
    onReport(report);
  });
  // What is sent to a process that ends at this moment is lost, which is no news.
  child.on("error", () => undefined);

  const explain = (what: string) => `${settings.name} (pid ${pid}) ${what}${output ? `:\n${output.trim()}` : ""}`;
  const exited = once(child, "close").then(([code, signal]: (number | string | null)[]) => {
    letBe();
    hasStarted();
    if (state === "running") {
      state = "crashed";
      onCrash(explain(`ended by itself (${signal ?? `exit code ${code}`})`));
    }
    return code;
  });

  return {
    pid,
    started,
    get workerId() {
      return workerId;
    },
    get state() {
      return state;
    },
    get frozen() {
      return frozen;
    },
    get frozenBefore() {
      return frozenBefore;
    },
    order(order) {
      frozenBefore = null;
      if (child.connected) child.send(order);
    },
    freeze() {
      frozen = child.kill("SIGSTOP");
    },
    thaw() {
      frozen = false;
      child.kill("SIGCONT");
    },
    async kill() {
      if (state === "running" || state === "stopping") state = "killed";
      child.kill("SIGKILL");
      await exited;
    },
    async stop(limitMs) {
      if (state !== "running") return null;
      state = "stopping";
      child.kill("SIGTERM");
      child.kill("SIGCONT");
      const { promise: tooLong, resolve } = Promise.withResolvers<"too long">();
      const timer = setTimeout(() => resolve("too long"), limitMs);
      const code = await Promise.race([exited, tooLong]);
      clearTimeout(timer);
      if (code === "too long") {
        child.kill("SIGKILL");
        await exited;
        return explain(`did not stop within ${limitMs} ms of SIGTERM`);
      }
      state = "stopped";
      return code === 0 ? null : explain(`stopped with exit code ${code}`);
    },
  };
}
