import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";

/** A worker in a process of its own, with the default options. */
export interface WorkerProcess {
  readonly workerId: string;
  /** Whether it leads, as far as it has told. */
  readonly leads: boolean;
  /** Ends the process without a last word. Resolves when it is gone. */
  kill(): Promise<void>;
  /** Lets the process drain. Resolves with its exit code. */
  stop(): Promise<number | null>;
}

/** What may be odd about a worker process. */
export interface WorkerProcessOptions {
  /** How far its clock is ahead, in milliseconds; negative when it is behind. @defaultValue `0` */
  readonly clockSkewMs?: number;
}

const program = fileURLToPath(new URL("worker.fixture.ts", import.meta.url));
const skewedClock = new URL("skewed-clock.fixture.ts", import.meta.url).href;

/** Starts a worker process and waits until it is ready to be given consumers. */
export async function startWorkerProcess(
  url: string,
  dispatch: "poll" | "notify",
  consumers: readonly string[],
  { clockSkewMs = 0 }: WorkerProcessOptions = {},
): Promise<WorkerProcess> {
  const child = fork(program, [url, dispatch, ...consumers], {
    execArgv: ["--conditions=@pup/source", `--import=${skewedClock}`],
    env: { ...process.env, CLOCK_SKEW_MS: String(clockSkewMs) },
    stdio: "inherit",
  });
  const exited = once(child, "exit");
  let leads = false;
  child.on("message", (message: { leads?: boolean }) => {
    leads = message.leads ?? leads;
  });
  const workerId = await Promise.race([
    firstWord(child),
    exited.then(() => refuse("The worker process ended at its start.")),
  ]);
  return {
    workerId,
    get leads() {
      return leads;
    },
    async kill() {
      child.kill("SIGKILL");
      await exited;
    },
    async stop() {
      child.kill("SIGTERM");
      const [code] = await exited;
      return code;
    },
  };
}

function firstWord(child: ChildProcess): Promise<string> {
  return new Promise((resolve) => {
    child.on("message", ({ started }: { started?: string }) => {
      if (started) resolve(started);
    });
  });
}

function refuse(message: string): never {
  throw new Error(message);
}
