import { type GlobalPosition, InvalidOptionError } from "@pup/core";
import type { Execute } from "../execute.ts";
import type { Tables } from "../schema/tables.ts";

/** Finds the first event, in log order, that was recorded at a time or later; null when there is none. */
export type FirstPositionSince = (execute: Execute, time: Date) => Promise<GlobalPosition | null>;

/**
 * Walks the log from its beginning. Times are not in log order (a long transaction records an old time at a high position), so
 * nothing shorter gives the true answer; and it is asked once in a consumer's life.
 */
export function createFirstPositionSince({ events }: Tables): FirstPositionSince {
  const text = `
SELECT global_position::text AS position FROM ${events}
WHERE created_at >= $1::text::timestamptz ORDER BY global_position LIMIT 1`;

  return async (execute, time) => {
    if (Number.isNaN(time.getTime())) throw new InvalidOptionError("Expected a valid date, got an invalid one.");
    const [row] = await execute<{ position: string }>(text, [time.toISOString()]);
    return row ? BigInt(row.position) : null;
  };
}
