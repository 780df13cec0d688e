import type { WorkerStatus } from "@pup/core";

/** A worker that counts as dead, and what gave it away. */
export interface DeadWorker {
  readonly workerId: string;
  readonly reason: "heartbeat" | "liveness";
}

/** Tells dead workers from live ones. Belongs to one control session: what another session saw proves nothing to this one. */
export interface FailureDetector {
  /** Takes in what is there now; returns who counts as dead. Call it as a follower too: it must have seen a lock to miss it. */
  observe(workers: readonly WorkerStatus[]): readonly DeadWorker[];
}

// A worker whose connection broke is back within the time between two looks. Only one that is still away is dead.
const LOOKS_BEFORE_DEATH = 2;

/**
 * Creates a detector. Silence beyond the heartbeat timeout is death everywhere. A liveness lock that is gone is death too, but
 * only if this very session has seen the worker hold it: behind a pooler, say, a lock may never become visible at all.
 */
export function createFailureDetector(heartbeatTimeoutMs: number): FailureDetector {
  const missedLooks = new Map<string, number>();

  return {
    observe(workers) {
      const dead: DeadWorker[] = [];
      const present = new Set<string>();
      for (const { workerId, heartbeatAgeMs, livenessLockHeld } of workers) {
        present.add(workerId);
        if (livenessLockHeld) missedLooks.set(workerId, 0);
        const missed = missedLooks.get(workerId);
        if (!livenessLockHeld && missed !== undefined) missedLooks.set(workerId, missed + 1);

        if (heartbeatAgeMs > heartbeatTimeoutMs) dead.push({ workerId, reason: "heartbeat" });
        else if ((missedLooks.get(workerId) ?? 0) >= LOOKS_BEFORE_DEATH) dead.push({ workerId, reason: "liveness" });
      }
      for (const workerId of missedLooks.keys()) if (!present.has(workerId)) missedLooks.delete(workerId);
      return dead;
    },
  };
}
