import type { Clock, WorkerStatus } from "@pup/core";

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

/** What the detector needs. */
export interface FailureDetectorOptions {
  readonly heartbeatTimeoutMs: number;
  readonly livenessIntervalMs: number;
  readonly clock: Pick<Clock, "now">;
}

/**
 * Creates a detector. Silence beyond the heartbeat timeout is death everywhere. A liveness lock that is gone is death too, but
 * only if this very session has seen the worker hold it: behind a pooler, say, a lock may never become visible at all.
 *
 * A worker whose connection broke is back within the time between two regular looks, so it takes two looks about that far apart:
 * news of other workers make the leader look in between.
 */
export function createFailureDetector(options: FailureDetectorOptions): FailureDetector {
  const { heartbeatTimeoutMs, livenessIntervalMs, clock } = options;
  /** When a lock was first missed, by worker; null while it is there. Workers whose lock was never seen are not in it. */
  const missedSince = new Map<string, number | null>();
  // Timers fire a little early or late.
  const confirmedAfterMs = livenessIntervalMs / 2;

  return {
    observe(workers) {
      const dead: DeadWorker[] = [];
      const present = new Set<string>();
      for (const { workerId, heartbeatAgeMs, livenessLockHeld } of workers) {
        present.add(workerId);
        if (livenessLockHeld) missedSince.set(workerId, null);
        else if (missedSince.get(workerId) === null) missedSince.set(workerId, clock.now());

        const missedAt = missedSince.get(workerId) ?? null;
        if (heartbeatAgeMs > heartbeatTimeoutMs) dead.push({ workerId, reason: "heartbeat" });
        else if (missedAt !== null && clock.now() - missedAt >= confirmedAfterMs)
          dead.push({ workerId, reason: "liveness" });
      }
      for (const workerId of missedSince.keys()) if (!present.has(workerId)) missedSince.delete(workerId);
      return dead;
    },
  };
}
