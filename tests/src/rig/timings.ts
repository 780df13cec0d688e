import { type WorkerOptions, workerDefaults } from "@pup/coordinator";

type TimingName =
  | "heartbeatIntervalMs"
  | "heartbeatTimeoutMs"
  | "rebalanceIntervalMs"
  | "assignmentPollMs"
  | "batchTimeoutMs"
  | "shutdownTimeoutMs";

/** The times that a worker of the rig runs with, in milliseconds. Whatever is not named is at its default. */
export type WorkerTimings = Pick<WorkerOptions, TimingName>;

/** The same with nothing left open. */
export type ResolvedTimings = Readonly<Record<TimingName, number>>;

/** Many times shorter than the defaults, so that a run of two minutes sees many deaths by silence. Printed with the outcome. */
export const shortTimings = {
  heartbeatIntervalMs: 500,
  heartbeatTimeoutMs: 3_000,
  rebalanceIntervalMs: 1_000,
  assignmentPollMs: 500,
  batchTimeoutMs: 5_000,
  shutdownTimeoutMs: 5_000,
} as const satisfies WorkerTimings;

/** Fills the defaults in. */
export function resolveTimings(timings: WorkerTimings): ResolvedTimings {
  return { ...workerDefaults, ...timings } as ResolvedTimings;
}
