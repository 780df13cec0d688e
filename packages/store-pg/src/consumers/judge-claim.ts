import type { AcquireRequest, Claim } from "@pup/core";

/** What a claim is judged by, all by the database's clock. */
export interface ClaimFacts {
  readonly ownerId: string | null;
  /** The owner is registered and has not been silent for too long. */
  readonly ownerAlive: boolean;
  /** Whom the leader gave the consumer to; null when nobody has been given it. */
  readonly assigneeId: string | null;
  readonly assigneeAlive: boolean;
  /** Since when, in milliseconds; null when nobody has been given it. */
  readonly assignedForMs: number | null;
}

/** What a claim comes to. */
export type ClaimVerdict = "take" | "held" | "not-yours";

/** Decides whether a worker may take a consumer over. */
export function judgeClaim({ workerId, claim, graceMs }: Claim, facts: ClaimFacts): ClaimVerdict {
  const rivalOwns = facts.ownerId !== null && facts.ownerId !== workerId && facts.ownerAlive;
  if (claim === "unowned") {
    const rivalIsGiven = facts.assigneeId !== null && facts.assigneeId !== workerId && facts.assigneeAlive;
    return rivalOwns || rivalIsGiven ? "not-yours" : "take";
  }
  if (facts.assigneeId !== workerId) return "not-yours";
  return rivalOwns && (facts.assignedForMs ?? 0) < graceMs ? "held" : "take";
}

/** An owner gives its last batch up by itself. What holds the row this long after its time will not end by itself. */
const STUCK_AFTER_MS = 5_000;

/**
 * Decides whether whoever keeps the checkpoint's row locked may be ended: its owner is dead, or the last batch that it can have
 * begun is overdue. A batch that is merely long is healthy: moving its consumer must not cost it.
 */
export function mayEndBlocker(
  { workerId, claim, graceMs, batchTimeoutMs }: AcquireRequest,
  facts: ClaimFacts,
): boolean {
  if (facts.ownerId === null || facts.ownerId === workerId) return false;
  if (!facts.ownerAlive) return true;
  return claim === "assigned" && (facts.assignedForMs ?? 0) >= Math.max(graceMs, batchTimeoutMs) + STUCK_AFTER_MS;
}
