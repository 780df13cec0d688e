import type { WorkerStatus } from "@pup/core";
import type { Execute } from "../execute.ts";
import type { Tables } from "../schema/tables.ts";
import { isLivenessLock } from "./liveness-lock.ts";

/** Lists every registered worker: how long it has been silent, and whether its session lives. */
export type ObserveWorkers = (execute: Execute) => Promise<readonly WorkerStatus[]>;

export function createObserveWorkers(tables: Tables): ObserveWorkers {
  const text = `SELECT ${statusesText(tables)} AS statuses`;

  return async (execute) => {
    const [row] = await execute<{ statuses: string }>(text);
    return parseStatuses(row?.statuses ?? "[]");
  };
}

/** Every registered worker in one column of text, for {@link parseStatuses}: also as part of another statement. */
export function statusesText(tables: Tables): string {
  return `(
  SELECT coalesce(jsonb_agg(jsonb_build_array(
    worker.worker_id, date_part('epoch', clock_timestamp() - worker.heartbeat_at) * 1000, lock.pid IS NOT NULL
  )), '[]')
  FROM ${tables.workerNodes} AS worker
  LEFT JOIN pg_locks AS lock ON ${isLivenessLock(tables, "lock", "worker")}
)::text`;
}

export function parseStatuses(statuses: string): readonly WorkerStatus[] {
  return (JSON.parse(statuses) as [string, number, boolean][]).map(([workerId, heartbeatAgeMs, livenessLockHeld]) => ({
    workerId,
    heartbeatAgeMs,
    livenessLockHeld,
  }));
}
