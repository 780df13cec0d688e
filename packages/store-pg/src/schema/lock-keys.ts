import { createHash } from "node:crypto";
import type { Tables } from "./tables.ts";

/**
 * First half of the advisory lock that the leading worker's session holds: "pup" in ASCII. The second half tells apart fleets
 * that share a database.
 *
 * ```sql
 * SELECT pid, granted FROM pg_locks WHERE locktype = 'advisory' AND classid = 7370096 AND objsubid = 2;
 * ```
 */
export const LEADER_LOCK_CLASS = 0x707570;

/** First half of the advisory lock that a running migration holds. */
export const MIGRATION_LOCK_CLASS = 0x707571;

/**
 * A number for the tables that a fleet works with, the same in every version of pup: old and new workers must find each other
 * by it. Tables that come later stay out of it.
 */
export function fleetKey({ schema, names }: Tables): number {
  const { events, consumerCheckpoints, workerNodes, consumerAssignments, leaderLease } = names;
  return hash([schema, events, consumerCheckpoints, workerNodes, consumerAssignments, leaderLease]);
}

/** A number for the list of migrations: those that share it must not run at once. */
export function migrationKey({ schema, names }: Tables): number {
  return hash([schema, names.pupMigrations]);
}

/** 32 bits with sign, as PostgreSQL's `integer`. */
function hash(parts: readonly string[]): number {
  return createHash("sha256").update(JSON.stringify(parts)).digest().readInt32BE(0);
}
