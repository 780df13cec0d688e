import type { ControlSession, Leadership } from "@pup/core";
import { expect, vi } from "vitest";
import type { PgStore } from "../create-store.ts";
import { fleetKey, LEADER_LOCK_CLASS } from "../schema/lock-keys.ts";
import { resolveTables } from "../schema/tables.ts";
import type { PgControlSession } from "../workers/open-control-session.ts";
import type { TestSchema } from "./open-schema.ts";

/** Ids of workers, for tests in which one meets another. */
export const workerA = "aaaaaaaa-0000-4000-8000-000000000001";
export const workerB = "bbbbbbbb-0000-4000-8000-000000000002";
export const workerC = "cccccccc-0000-4000-8000-000000000003";

/** Consumers that workers have unless a test says otherwise. */
export const consumerNames = ["orders", "invoices"];

/** How a worker reports. */
export const beat = { beat: true, heartbeatTimeoutMs: 30_000 };

/** A control session with a worker registered through it. */
export async function openWorker(
  store: PgStore,
  workerId: string,
  consumers: readonly string[] = consumerNames,
): Promise<PgControlSession> {
  const session = await store.openControlSession();
  await session.register({ workerId, consumers });
  return session;
}

/** Makes the session leader, or proves that it is. */
export async function lead(session: ControlSession): Promise<Leadership> {
  const leadership = await session.election.tick();
  if (!leadership) throw new Error("Expected the session to lead.");
  return leadership;
}

export function untilLost({ lost }: ControlSession): Promise<void> {
  return vi.waitFor(() => expect(lost.aborted).toBe(true), { timeout: 5_000 });
}

/** How many advisory locks the fleet of a schema holds. */
export async function countFleetLocks({ sql, schema }: TestSchema): Promise<{ leader: number; liveness: number }> {
  const key = fleetKey(resolveTables({ schema })) >>> 0;
  const [row] = await sql<{ leader: number; liveness: number }[]>`
    SELECT
      count(*) FILTER (WHERE objsubid = 2 AND classid::bigint = ${LEADER_LOCK_CLASS} AND objid::bigint = ${key})::int AS leader,
      count(*) FILTER (WHERE objsubid = 1 AND classid::bigint = ${key})::int AS liveness
    FROM pg_locks
    WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`;
  return row ?? { leader: -1, liveness: -1 };
}
