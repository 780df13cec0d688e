import type { Clock, EventSink, Logger, WorkerEvents } from "@pup/core";

/** Notices that a fleet has no leader and none can be elected: to each of its workers all looks well, and nothing is dealt out. */
export interface LeaderWatch {
  /** Since when no leader is alive and this worker is refused the leadership, by the clock; null while it is not so. */
  readonly missingSince: number | null;
  /** Takes in what the last tick found out. */
  note(missing: boolean): void;
}

/** What the watch needs. */
export interface LeaderWatchOptions {
  readonly workerId: string;
  readonly unhealthyAfterMs: number;
  readonly clock: Pick<Clock, "now">;
  readonly logger: Logger;
  readonly events: EventSink<WorkerEvents>;
}

/** Creates the watch of one worker. It outlives lost lines: an incident is one, however often the worker connects meanwhile. */
export function createLeaderWatch({
  workerId,
  unhealthyAfterMs,
  clock,
  logger,
  events,
}: LeaderWatchOptions): LeaderWatch {
  let missingSince: number | null = null;
  let told = false;

  return {
    get missingSince() {
      return missingSince;
    },
    note(missing) {
      if (!missing) {
        missingSince = null;
        told = false;
        return;
      }
      missingSince ??= clock.now();
      const missingForMs = clock.now() - missingSince;
      if (told || missingForMs <= unhealthyAfterMs) return;
      told = true;
      events.emit("leader:missing", { workerId, missingForMs });
      logger.error(
        { workerId, missingForMs },
        "no leader is alive, and the leadership is not to be had: consumers of dead workers stay where they are",
      );
    },
  };
}
