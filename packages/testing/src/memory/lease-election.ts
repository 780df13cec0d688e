import type { Database, ServerSession } from "./database.ts";
import type { MemoryElection } from "./election.ts";

/**
 * Makes the leader whoever's name is in the leader row, until the time in it is over by the server's clock.
 *
 * Only the owner renews, and only in the term that it won: what another one has taken, or what has run out, is never prolonged,
 * it is taken anew with a higher term.
 */
export function createLeaseElection(database: Database, session: ServerSession): MemoryElection {
  const { leader, clock, leaseDurationMs } = database;
  /** Whoever is no worker leads under a name that nobody else has. */
  const anonymous = `session ${++database.lastPid}`;
  /** As whom this session led last; null before it ever did. */
  let led: { readonly ownerId: string; readonly term: number } | null = null;

  const isOwned = () => led !== null && leader.ownerId === led.ownerId && leader.term === led.term;
  const lasts = () => leader.ownerId !== null && leader.expiresAtMs > clock.now();

  const vacate = () => {
    if (isOwned()) leader.ownerId = null;
  };

  return {
    driver: "lease",
    leaseDurationMs,
    // As long as somebody has the lease it is not missed, and nobody else can keep it once it has run out.
    leaderMissing: false,
    tick() {
      const mayRenew = isOwned() && lasts();
      if (!mayRenew && lasts()) return null;
      if (!mayRenew) {
        leader.ownerId = session.workerId ?? anonymous;
        leader.term += 1;
        led = { ownerId: leader.ownerId, term: leader.term };
      }
      leader.expiresAtMs = clock.now() + leaseDurationMs;
      return { term: leader.term };
    },
    resign: vacate,
    isHeld: ({ term }) => isOwned() && leader.term === term && lasts(),
    end(inOrder) {
      if (inOrder) vacate();
    },
  };
}
