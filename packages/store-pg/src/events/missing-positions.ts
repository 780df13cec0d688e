import type { GlobalPosition, PositionRange } from "@pup/core";
import type { Execute } from "../execute.ts";
import type { Tables } from "../schema/tables.ts";

/** Finds the positions in `(after, upTo]` that no event has. */
export type MissingPositions = (
  execute: Execute,
  after: GlobalPosition,
  upTo: GlobalPosition,
) => Promise<readonly PositionRange[]>;

export function createMissingPositions({ events }: Tables): MissingPositions {
  // A row behind the end, so that a hole in front of it is seen as well.
  const text = `
SELECT (before + 1)::text AS first, (position - 1)::text AS last
FROM (
  SELECT position, lag(position, 1, $1::bigint) OVER (ORDER BY position) AS before
  FROM (
    SELECT global_position AS position FROM ${events} WHERE global_position > $1::bigint AND global_position <= $2::bigint
    UNION ALL SELECT $2::bigint + 1
  ) AS positions
) AS neighbours
WHERE position > before + 1
ORDER BY position`;

  return async (execute, after, upTo) => {
    const rows = await execute<{ first: string; last: string }>(text, [String(after), String(upTo)]);
    return rows.map(({ first, last }) => ({ first: BigInt(first), last: BigInt(last) }));
  };
}
