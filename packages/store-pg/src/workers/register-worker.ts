import type { WorkerRegistration } from "@pup/core";
import type { Execute } from "../execute.ts";
import type { Tables } from "../schema/tables.ts";
import { PROTOCOL } from "./protocol.ts";

/** Makes a worker known, and removes those that have long been gone. */
export type RegisterWorker = (
  execute: Execute,
  worker: WorkerRegistration,
  heartbeatTimeoutMs: number,
) => Promise<void>;

/** A row this many heartbeat timeouts old was missed by every leader: there was none. */
const STALE_TIMEOUTS = 10;
const STALE_AFTER_MS = 3_600_000;

export function createRegisterWorker({ workerNodes }: Tables): RegisterWorker {
  const text = `
WITH stale AS (
  DELETE FROM ${workerNodes}
  WHERE heartbeat_at < now() - $4::double precision * interval '1 millisecond' AND worker_id <> $1::text::uuid
)
INSERT INTO ${workerNodes} AS worker (worker_id, heartbeat_at, consumers, protocol)
VALUES ($1::text::uuid, now(), ARRAY(SELECT jsonb_array_elements_text($2::text::jsonb)), $3::integer)
ON CONFLICT (worker_id) DO UPDATE
SET heartbeat_at = excluded.heartbeat_at, consumers = excluded.consumers, protocol = excluded.protocol, updated_at = now()`;

  return async (execute, { workerId, consumers }, heartbeatTimeoutMs) => {
    const staleAfterMs = Math.max(STALE_AFTER_MS, STALE_TIMEOUTS * heartbeatTimeoutMs);
    await execute(text, [workerId, JSON.stringify(consumers), PROTOCOL, staleAfterMs]);
  };
}
