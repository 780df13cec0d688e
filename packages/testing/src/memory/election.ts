import type { ElectionDriver, Leadership } from "@pup/core";

/** One session's part in the election, as the server carries it out: each method is one statement. */
export interface MemoryElection {
  readonly driver: ElectionDriver;
  readonly leaseDurationMs?: number | undefined;
  readonly leaderMissing: boolean;
  tick(): Leadership | null;
  resign(): void;
  /** Whether this session leads in that term at this moment: what assigning checks under the leader row's lock. */
  isHeld(leadership: Leadership): boolean;
  /**
   * The session is over.
   *
   * @param inOrder - closed rather than lost: it could still say something
   */
  end(inOrder: boolean): void;
}
