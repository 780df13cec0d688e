import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import type { WorkerOptions } from "@pup/coordinator";
import { createEvents, type WorkerEvents } from "@pup/core";
import { type EventRecording, recordEvents } from "@pup/testing";

/** What a worker process in the lab is told at its start. */
export interface LabWorkerConfig {
  readonly url: string;
  readonly dispatch?: "poll" | "notify";
  /** Names of its consumers: each leaves a trail, as `createTrail` has made the table for. */
  readonly consumers: readonly string[];
  /**
   * What handlers do before their batch ends: run a statement of three seconds, or read a result of 100 MB.
   *
   * @defaultValue nothing
   */
  readonly work?: "statement" | "result";
  /** Connections of its pool. @defaultValue that of the store */
  readonly max?: number;
  /** Time for a statement of its store, in milliseconds. @defaultValue that of the store */
  readonly statementTimeoutMs?: number;
  /** How its store elects leaders. @defaultValue that of the store */
  readonly election?: "advisory" | "lease";
  /** Times of the worker. @defaultValue those of production */
  readonly options?: {
    readonly [Name in keyof WorkerOptions]?: Extract<WorkerOptions[Name], number | boolean | undefined>;
  };
}

/** What the parent may ask of it. */
export type LabWorkerRequest = { readonly kind: "report" } | { readonly kind: "block"; readonly durationMs: number };

/** What it says of itself. */
export interface LabWorkerReport {
  /** Statements that it has sent so far, over all its connections but the notify dispatcher's. */
  readonly statements: number;
  readonly health: readonly string[];
}

/** A worker in a process of its own, which can be disturbed as a whole. */
export interface LabWorker {
  readonly workerId: string;
  /** What the server's views call its sessions. */
  readonly applicationName: string;
  readonly recorded: EventRecording<WorkerEvents>;
  /** Whether it leads, as far as it has told. */
  readonly leads: boolean;
  report(): Promise<LabWorkerReport>;
  /** Keeps its event loop busy. Resolves when it is over. */
  block(durationMs: number): Promise<void>;
  /** Stops the process where it stands; nothing of it closes. */
  freeze(): void;
  /** Lets it go on as if nothing had happened. */
  thaw(): void;
  /** Lets the process drain. Resolves with its exit code. */
  stop(): Promise<number | null>;
}

const program = fileURLToPath(new URL("lab-worker.fixture.ts", import.meta.url));

/** Starts a worker process and waits until it is ready to be given consumers. */
export async function startLabWorker(config: LabWorkerConfig): Promise<LabWorker> {
  const child = fork(program, [JSON.stringify(config)], {
    execArgv: ["--conditions=@pup/source"],
    stdio: "inherit",
    serialization: "advanced",
  });
  const exited = once(child, "exit");
  const events = createEvents<WorkerEvents>();
  const recorded = recordEvents<WorkerEvents>(events);
  let leads = false;
  events.on("leader:acquired", () => {
    leads = true;
  });
  events.on("leader:lost", () => {
    leads = false;
  });
  child.on("message", ({ event }: { event?: { name: keyof WorkerEvents; payload: never } }) => {
    if (event) events.emit(event.name, event.payload);
  });
  const ended = exited.then(() => Promise.reject(new Error("The worker process ended at its start.")));
  ended.catch(() => undefined);
  const { workerId } = await Promise.race([recorded.first("worker:started"), ended]);

  return {
    workerId,
    applicationName: `pup lab ${child.pid}`,
    recorded,
    get leads() {
      return leads;
    },
    report: () => ask(child, { kind: "report" }),
    async block(durationMs) {
      await ask(child, { kind: "block", durationMs });
    },
    freeze: () => void child.kill("SIGSTOP"),
    thaw: () => void child.kill("SIGCONT"),
    async stop() {
      child.kill("SIGCONT");
      child.kill("SIGTERM");
      const [code] = await exited;
      return code;
    },
  };
}

/** One question at a time: answers come in the order of the questions. */
function ask(child: ChildProcess, request: LabWorkerRequest): Promise<LabWorkerReport> {
  return new Promise((resolve) => {
    const hear = ({ answer }: { answer?: LabWorkerReport }) => {
      if (!answer) return;
      child.off("message", hear);
      resolve(answer);
    };
    child.on("message", hear);
    child.send(request);
  });
}
