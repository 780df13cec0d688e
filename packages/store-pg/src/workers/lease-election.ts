import type { Leadership } from "@pup/core";
import type { Leader } from "./assign-consumers.ts";
import { leaseTexts } from "./leader-lease.ts";
import type { ElectionContext, SessionElection } from "./session-election.ts";

/** How leases are held. */
export interface LeaseContext extends Omit<ElectionContext, "pid" | "lost" | "refute" | "applicationPrefix"> {
  readonly leaseDurationMs: number;
}

/**
 * Makes the leader whoever's name is in the leader row, until the time in it is over. Needs no session.
 *
 * Only the owner renews, and only in the term that it won: what another one has taken, or what has run out, is never prolonged,
 * it is taken anew with a higher term.
 */
export function createLeaseElection(context: LeaseContext): SessionElection {
  const { execute, leaseDurationMs } = context;
  const { takeLease, vacate } = leaseTexts(context.tables);
  let leader: Leader | null = null;
  let leaderMissing = false;

  async function tick(): Promise<Leadership | null> {
    const ownerId = context.ownerId();
    const [row] = await execute<{ term: string | null; renewal: boolean; led: boolean }>(takeLease, [
      ownerId,
      leader?.ownerId ?? null,
      leader === null ? null : String(leader.term),
      leaseDurationMs,
      context.heartbeatTimeoutMs(),
    ]);
    leaderMissing = row?.term === null && !row.led;
    if (!row || row.term === null) return null;
    if (!row.renewal) leader = { ownerId, term: Number(row.term) };
    return { term: Number(row.term) };
  }

  return {
    driver: "lease",
    leaseDurationMs,
    get leader() {
      return leader;
    },
    get leaderMissing() {
      return leaderMissing;
    },
    tick,
    async resign() {
      await execute(vacate, [leader?.ownerId ?? context.ownerId(), String(leader?.term ?? 0)]);
    },
  };
}
