import type { Sql } from "postgres";
import { machineMs } from "../machine-time.ts";
import { lookUntil } from "../patience.ts";
import { type Ownership, readOwnership } from "../stage.ts";

/** Longest fail-over that is waited for, in milliseconds: then the comparison at the end of the run has to say what happened. */
const LIMIT_MS = 60_000;

/**
 * Waits until others have gone on with everything that a dead worker ran: each consumer has another owner, under a higher epoch,
 * and has committed past what was in the log when its worker died.
 *
 * @param orphans - what it ran, as it was when it died
 * @param position - what was in the log when it died, with an event in each scope
 * @returns milliseconds since the death; undefined when it did not come to an end
 */
export async function measureFailover(
  sql: Sql,
  orphans: readonly Ownership[],
  { diedAt, position, signal }: { diedAt: number; position: bigint; signal: AbortSignal },
): Promise<number | undefined> {
  return lookUntil(
    async () => {
      const present = new Map((await readOwnership(sql)).map((now) => [now.consumer, now]));
      const haveGoneOn = orphans.every((orphan) => {
        const now = present.get(orphan.consumer);
        return (
          now !== undefined && now.epoch > orphan.epoch && now.ownerId !== orphan.ownerId && now.position >= position
        );
      });
      return haveGoneOn ? machineMs() - diedAt : undefined;
    },
    { limitMs: LIMIT_MS, everyMs: 10, signal },
  );
}
