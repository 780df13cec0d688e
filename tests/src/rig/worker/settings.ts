import type { Protection } from "../protections.ts";
import type { WorkerTimings } from "../timings.ts";

/** What a worker process of the rig is told at its start. */
export interface WorkerSettings {
  /** Stands behind `pup` in the server's views. */
  readonly name: string;
  readonly databaseUrl: string;
  readonly dispatcher: "notify" | "poll";
  readonly timings: WorkerTimings;
  /** The protection that it works without; null for none. */
  readonly broken: Protection | null;
}

/** What a worker process reports. Times are by {@link machineMs}. */
export type WorkerReport =
  /** It runs, and can be given consumers. */
  | { readonly kind: "started"; readonly workerId: string }
  /** Its line to the others broke, it was struck off and has come back, or it lost a consumer to another worker. */
  | { readonly kind: "trouble"; readonly what: "disconnected" | "rejoined" | "fenced" }
  /** Positions turned out to be nobody's. */
  | { readonly kind: "gap"; readonly gap: ClosedGap }
  /** It is about to stop as it was ordered to, before a batch that goes up to this position. */
  | { readonly kind: "freezing"; readonly consumer: string; readonly to: string }
  /** A consumer has failed too often, and stays where it is. */
  | { readonly kind: "failed"; readonly consumer: string; readonly reason: string };

/** A gap in the log, as one process has seen it. */
export interface ClosedGap {
  /** When the process first read a position behind it. */
  readonly seenAt: number;
  /** When it first knew everything to be settled up to the gap's end. */
  readonly closedAt: number;
}

/** What the rig asks of a worker process. */
export interface WorkerOrder {
  /** Stop as by SIGSTOP right before the next batch of this consumer; null takes it back. */
  readonly freezeBeforeBatchOf: string | null;
}

const variable = "PUP_RIG_WORKER";

/** The environment that carries the settings to the process. */
export function settingsToEnv(settings: WorkerSettings): NodeJS.ProcessEnv {
  return { [variable]: JSON.stringify(settings) };
}

/** Reads what {@link settingsToEnv} has written. */
export function readSettings(): WorkerSettings {
  return JSON.parse(process.env[variable] ?? "null") as WorkerSettings;
}
