import type { Database, ServerSession } from "./database.ts";
import type { MemoryElection } from "./election.ts";
import { MemoryConnectionError } from "./errors.ts";

/** Makes the leader whichever session holds the lock. It goes with its session, however that ends. */
export function createAdvisoryElection(database: Database, session: ServerSession): MemoryElection {
  const { leader, clock } = database;
  let leaderMissing = false;

  const letGo = () => {
    if (leader.holder === session) leader.holder = null;
  };

  return {
    driver: "advisory",
    get leaderMissing() {
      return leaderMissing;
    },
    tick() {
      const { holder } = leader;
      // A leader that has gone silent holds its lock as long as its connection does: end that. A session that belongs to no
      // worker stands for one that cannot be ended.
      if (holder && holder !== session && holder.workerId !== null && isLeaderSilent(database, session)) {
        holder.terminate(new MemoryConnectionError("Terminated as a leader that had gone silent."));
      }
      if (leader.holder === null) {
        leader.holder = session;
        leader.sinceMs = clock.now();
        leader.term += 1;
      }
      const leads = leader.holder === session;
      leaderMissing = !leads && isLeaderSilent(database, session);
      return leads ? { term: leader.term } : null;
    },
    resign: letGo,
    isHeld: ({ term }) => leader.holder === session && leader.term === term,
    end: letGo,
  };
}

/** Whoever leads has not been heard of for as long as the session takes for death. */
function isLeaderSilent({ leader, workers, clock }: Database, { heartbeatTimeoutMs }: ServerSession): boolean {
  if (leader.holder === null || heartbeatTimeoutMs === null) return false;
  const { workerId } = leader.holder;
  const unknown = workerId === null ? leader.sinceMs : Number.NEGATIVE_INFINITY;
  const lastSeenMs = (workerId === null ? undefined : workers.get(workerId)?.heartbeatAtMs) ?? unknown;
  return clock.now() - lastSeenMs > heartbeatTimeoutMs;
}
