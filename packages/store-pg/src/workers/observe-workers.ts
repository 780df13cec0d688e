import type { WorkerStatus } from "@pup/core";
import type { Execute } from "../execute.ts";
import type { Tables } from "../schema/tables.ts";
import { isLivenessLock } from "./liveness-lock.ts";

/** Lists every registered worker: how long it has been silent, and whether its session lives. */
export type ObserveWorkers = (execute: Execute) => Promise<readonly WorkerStatus[]>;

interface StatusRow {
  readonly id: string;
  readonly age: number;
  readonly held: boolean;
}

export function createObserveWorkers(tables: Tables): ObserveWorkers {
  const text = `
SELECT
  worker.worker_id::text AS id,
  date_part('epoch', clock_timestamp() - worker.heartbeat_at) * 1000 AS age,
  lock.pid IS NOT NULL AS held
FROM ${tables.workerNodes} AS worker
LEFT JOIN pg_locks AS lock ON ${isLivenessLock(tables, "lock", "worker")}`;

  return async (execute) => {
    const rows = await execute<StatusRow>(text);
    return rows.map(({ id, age, held }) => ({ workerId: id, heartbeatAgeMs: age, livenessLockHeld: held }));
  };
}
