import type { LeaderElection, Leadership } from "@pup/core";
import type { Execute } from "../execute.ts";
import type { Tables } from "../schema/tables.ts";
import type { Leader } from "./assign-consumers.ts";

/** An election, and who leads through it. */
export interface SessionElection extends LeaderElection {
  /** As whom this session led last; null before it ever did. Whether it still does only the database knows. */
  readonly leader: Leader | null;
}

/** What an election needs of the session that it takes place on. */
export interface ElectionContext {
  readonly tables: Tables;
  /** Runs statements on the session, always the same one. */
  readonly execute: Execute;
  /** The session's process, as it said when it was opened. */
  readonly pid: number;
  /** Aborted when the session is lost. */
  readonly lost: AbortSignal;
  /** Notes that the session turned out to be none. @returns what to throw */
  readonly refute: () => Error;
  /** Under what name to lead: the worker's id. */
  readonly ownerId: () => string;
  /** Silence after which a leader counts as dead, in milliseconds; null while unknown. */
  readonly heartbeatTimeoutMs: () => number | null;
  /** How names of pup's sessions begin: no other is ever ended. */
  readonly applicationPrefix: string;
}

/** Sees to it that an election does one thing at a time: whoever asks while a tick is under way shares its answer. */
export function inTurn(election: SessionElection): SessionElection {
  let ticking: Promise<Leadership | null> | null = null;
  return {
    driver: election.driver,
    leaseDurationMs: election.leaseDurationMs,
    get leader() {
      return election.leader;
    },
    get leaderMissing() {
      return election.leaderMissing;
    },
    tick() {
      ticking ??= election.tick().finally(() => {
        ticking = null;
      });
      return ticking;
    },
    async resign() {
      await ticking?.catch(() => undefined);
      await election.resign();
    },
  };
}
