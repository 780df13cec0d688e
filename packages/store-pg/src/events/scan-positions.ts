import type { GlobalPosition, PositionScan } from "@pup/core";
import type { Execute } from "../execute.ts";
import type { Tables } from "../schema/tables.ts";
import { type ServerStateRow, serverStateColumns, toServerState } from "./server-state.ts";

/** Looks at the positions above one. */
export type ScanPositions = (execute: Execute, after: GlobalPosition) => Promise<PositionScan>;

/** Most events that one scan looks at: some milliseconds' work, and more than arrive between two looks. */
const SCAN_LENGTH = 10_000;

interface ScanRow extends ServerStateRow {
  readonly contiguous: string;
  readonly hole: boolean;
  readonly highest: string;
}

/**
 * Everything in one statement, hence of one snapshot. The n-th event above `after` stands at `after + n` up to the first hole,
 * and never again behind it.
 */
export function createScanPositions({ events }: Tables): ScanPositions {
  const text = `
SELECT
  coalesce(max(position) FILTER (WHERE position = expected), $1::bigint)::text AS contiguous,
  coalesce(bool_or(position <> expected), false) AS hole,
  (SELECT coalesce(max(global_position), 0) FROM ${events})::text AS highest,
  ${serverStateColumns}
FROM (
  SELECT position, $1::bigint + row_number() OVER (ORDER BY position) AS expected
  FROM (
    SELECT global_position AS position FROM ${events}
    WHERE global_position > $1::bigint ORDER BY global_position LIMIT ${SCAN_LENGTH}
  ) AS next
) AS numbered`;

  return async (execute, after) => {
    const [row] = await execute<ScanRow>(text, [String(after)]);
    const { contiguous, hole, highest, ...state } = row as ScanRow;
    return { contiguous: BigInt(contiguous), hole, highest: BigInt(highest), ...toServerState(state) };
  };
}
