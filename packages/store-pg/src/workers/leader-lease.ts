import { fleetKey, LEADER_LOCK_CLASS } from "../schema/lock-keys.ts";
import type { Tables } from "../schema/tables.ts";

/** Key of the one row that says who leads. */
const LEASE_KEY = "leader";

/**
 * What is said about leadership in SQL. `$1` is always the owner, `$2` the term where there is one.
 *
 * One row serves both drivers: who leads by a lock leaves `expires_at` empty, who leads by a lease fills it. All times are the
 * database's, and those of the moment: a statement that has waited for the row must not judge by when its transaction began.
 */
export interface LeaseTexts {
  /** Begins a new term of who holds the lock: `term`; no row while somebody else's lease lasts. */
  readonly raiseTerm: string;
  /**
   * Renews the lease of `$2` in its term `$3`, or else begins a term of `$1` if nobody leads: `term`, null when it did neither,
   * and whether anybody had been leading before (`led`). It lasts for `$4` milliseconds. A leader by lock that has been silent for `$5` does not count; null when it is not known what silence is.
   */
  readonly takeLease: string;
  /** Ends a term, if it still is the owner's. */
  readonly vacate: string;
  /** Locks the row if the term still is the owner's and has not run out: one row, or none. */
  readonly lock: string;
  /** Condition under which the term still is the owner's. */
  readonly isHeld: string;
  /** Condition under which somebody leads by a lease. */
  readonly isLeased: string;
  /**
   * Condition under which somebody leads: by a lease that lasts, or by lock and not silent for as long as the parameter says, in
   * milliseconds; with null, whoever leads by lock counts.
   */
  readonly isLed: (silenceMs: string) => string;
  /** Selects the term of an owner that has been silent for `$1` milliseconds, and has no lease that lasts: `term`. */
  readonly silentTerm: string;
}

/** Condition in SQL under which a row of `pg_locks` is the lock that the fleet's leader holds. */
export function isLeaderLock(tables: Tables, lock: string): string {
  return `${lock}.locktype = 'advisory' AND ${lock}.granted AND ${lock}.objsubid = 2
    AND ${lock}.classid = ${LEADER_LOCK_CLASS}::oid AND ${lock}.objid = ${fleetKey(tables) >>> 0}::oid
    AND ${lock}.database = (SELECT oid FROM pg_database WHERE datname = current_database())`;
}

export function leaseTexts(tables: Tables): LeaseTexts {
  const { leaderLease, workerNodes } = tables;
  const ofOwner = `lease_key = '${LEASE_KEY}' AND owner_id = $1::text::uuid AND term = $2::text::bigint`;
  const lasts = "lease.expires_at > clock_timestamp()";
  const inMs = (parameter: string) => `${parameter}::double precision * interval '1 millisecond'`;
  const isRenewal = `coalesce(lease.owner_id = $2::text::uuid AND lease.term = $3::text::bigint AND ${lasts}, false)`;
  const lastSeen = `coalesce(
      (SELECT worker.heartbeat_at FROM ${workerNodes} AS worker WHERE worker.worker_id = lease.owner_id), lease.updated_at
    )`;
  // In this order: the locks of the server are looked through only where a lock decides.
  const isFree = `CASE
    WHEN lease.owner_id IS NULL THEN true
    WHEN lease.expires_at IS NOT NULL THEN NOT ${lasts}
    WHEN NOT EXISTS (SELECT FROM pg_locks AS lock WHERE ${isLeaderLock(tables, "lock")}) THEN true
    ELSE coalesce(${lastSeen} < clock_timestamp() - ${inMs("$5")}, false)
  END`;
  const isLed = (silenceMs: string) => `EXISTS (
  SELECT FROM ${leaderLease} AS lease
  WHERE lease.lease_key = '${LEASE_KEY}' AND lease.owner_id IS NOT NULL
    AND CASE WHEN lease.expires_at IS NOT NULL THEN ${lasts}
      ELSE coalesce(${lastSeen} >= clock_timestamp() - ${inMs(silenceMs)}, true) END
)`;
  return {
    isLed,
    raiseTerm: `
INSERT INTO ${leaderLease} AS lease (lease_key, owner_id, term) VALUES ('${LEASE_KEY}', $1::text::uuid, 1)
ON CONFLICT (lease_key) DO UPDATE
SET owner_id = excluded.owner_id, term = lease.term + 1, expires_at = NULL, updated_at = now()
WHERE lease.owner_id IS NULL OR lease.expires_at IS NULL OR NOT ${lasts}
RETURNING term::text AS term`,
    // Candidates only read as long as somebody leads, and nobody ever waits: whoever has the row locked is busy with leading.
    takeLease: `
WITH mine AS MATERIALIZED (
  SELECT lease.lease_key, ${isRenewal} AS renewal
  FROM ${leaderLease} AS lease
  WHERE lease.lease_key = '${LEASE_KEY}' AND (${isRenewal} OR ${isFree})
  FOR NO KEY UPDATE SKIP LOCKED
), first AS (
  INSERT INTO ${leaderLease} (lease_key, owner_id, term, expires_at)
  SELECT '${LEASE_KEY}', $1::text::uuid, 1, clock_timestamp() + ${inMs("$4")}
  WHERE NOT EXISTS (SELECT FROM ${leaderLease} WHERE lease_key = '${LEASE_KEY}')
  ON CONFLICT (lease_key) DO NOTHING
  RETURNING term
), taken AS (
  UPDATE ${leaderLease} AS lease
  SET owner_id = CASE WHEN mine.renewal THEN lease.owner_id ELSE $1::text::uuid END,
    term = CASE WHEN mine.renewal THEN lease.term ELSE lease.term + 1 END,
    expires_at = clock_timestamp() + ${inMs("$4")},
    updated_at = now()
  FROM mine WHERE lease.lease_key = mine.lease_key
  RETURNING lease.term, mine.renewal
)
SELECT coalesce(first.term, taken.term)::text AS term, coalesce(taken.renewal, false) AS renewal, ${isLed("$5")} AS led
FROM (SELECT) AS answer LEFT JOIN first ON true LEFT JOIN taken ON true`,
    vacate: `UPDATE ${leaderLease} SET owner_id = NULL, expires_at = NULL, updated_at = now() WHERE ${ofOwner}`,
    lock: `
SELECT true AS held FROM ${leaderLease} AS lease
WHERE ${ofOwner} AND (lease.expires_at IS NULL OR ${lasts})
FOR NO KEY UPDATE`,
    isHeld: `EXISTS (SELECT FROM ${leaderLease} WHERE ${ofOwner})`,
    isLeased: `EXISTS (
  SELECT FROM ${leaderLease} AS lease WHERE lease.lease_key = '${LEASE_KEY}' AND lease.owner_id IS NOT NULL AND ${lasts}
)`,
    silentTerm: `
SELECT lease.term::text AS term
FROM ${leaderLease} AS lease
WHERE lease.lease_key = '${LEASE_KEY}' AND (lease.expires_at IS NULL OR NOT ${lasts})
  AND ${lastSeen} < now() - ${inMs("$1")}`,
  };
}
