import type { Tables } from "../schema/tables.ts";

/** Key of the one row that says who leads. */
const LEASE_KEY = "leader";

/** What is said about leadership in SQL. `$1` is always the owner, `$2` the term where there is one. */
export interface LeaseTexts {
  /** Begins a new term: `term`. */
  readonly raiseTerm: string;
  /** Ends a term, if it still is the owner's. */
  readonly vacate: string;
  /** Locks the row if the term still is the owner's: one row, or none. */
  readonly lock: string;
  /** Condition under which the term still is the owner's. */
  readonly isHeld: string;
  /** Selects the term of an owner that has been silent for `$1` milliseconds: `term`. */
  readonly silentTerm: string;
}

export function leaseTexts({ leaderLease, workerNodes }: Pick<Tables, "leaderLease" | "workerNodes">): LeaseTexts {
  const ofOwner = `lease_key = '${LEASE_KEY}' AND owner_id = $1::text::uuid AND term = $2::text::bigint`;
  return {
    raiseTerm: `
INSERT INTO ${leaderLease} AS lease (lease_key, owner_id, term) VALUES ('${LEASE_KEY}', $1::text::uuid, 1)
ON CONFLICT (lease_key) DO UPDATE
SET owner_id = excluded.owner_id, term = lease.term + 1, expires_at = NULL, updated_at = now()
RETURNING term::text AS term`,
    vacate: `UPDATE ${leaderLease} SET owner_id = NULL, updated_at = now() WHERE ${ofOwner}`,
    lock: `SELECT true AS held FROM ${leaderLease} WHERE ${ofOwner} FOR NO KEY UPDATE`,
    isHeld: `EXISTS (SELECT FROM ${leaderLease} WHERE ${ofOwner})`,
    silentTerm: `
SELECT lease.term::text AS term
FROM ${leaderLease} AS lease LEFT JOIN ${workerNodes} AS worker ON worker.worker_id = lease.owner_id
WHERE lease.lease_key = '${LEASE_KEY}'
  AND coalesce(worker.heartbeat_at, lease.updated_at) < now() - $1::double precision * interval '1 millisecond'`,
  };
}
