import type { GlobalPosition, PageLimits, PositionScan } from "@pup/core";
import type { Execute } from "../execute.ts";
import type { Tables } from "../schema/tables.ts";
import { type PageRow, toLogPage } from "./log-page.ts";
import { buildPageQuery } from "./page-query.ts";
import { type FoundRow, fits } from "./read-log.ts";
import { type ServerStateRow, serverStateColumns, toServerState } from "./server-state.ts";

/** Looks at the positions above one. */
export type ScanPositions = (execute: Execute, after: GlobalPosition, bring?: PageLimits) => Promise<PositionScan>;

/** Most events that one scan looks at: some milliseconds' work, and more than arrive between two looks. */
const SCAN_LENGTH = 10_000;

const GREATEST_POSITION = 2n ** 63n - 1n;

interface ScanRow extends ServerStateRow {
  readonly contiguous: string;
  readonly hole: boolean;
  readonly highest: string;
}

/** An event with what is the same in all rows, or that alone. */
type HeadRow = ServerStateRow & { readonly highest: string } & (FoundRow | { readonly position: null });

/** Everything in one statement, hence of one snapshot, with events and without. */
export function createScanPositions(tables: Tables): ScanPositions {
  const scan = createScan(tables);
  const scanWithEvents = createScanWithEvents(tables);
  return (execute, after, bring) => (bring ? scanWithEvents(execute, after, bring) : scan(execute, after));
}

/** The n-th event above `after` stands at `after + n` up to the first hole, and never again behind it. */
function createScan({ events }: Tables) {
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

  return async (execute: Execute, after: GlobalPosition): Promise<PositionScan> => {
    const [row] = await execute<ScanRow>(text, [String(after)]);
    const { contiguous, hole, highest, ...state } = row as ScanRow;
    return { contiguous: BigInt(contiguous), hole, highest: BigInt(highest), ...toServerState(state) };
  };
}

/** A page of the log beside what is known of the server; one row without an event when there is none. */
function createScanWithEvents(tables: Tables) {
  const page = buildPageQuery(tables, {});
  const text = `
SELECT server.*, page.*
FROM (
  SELECT (SELECT coalesce(max(global_position), 0) FROM ${tables.events})::text AS highest, ${serverStateColumns}
) AS server
LEFT JOIN (${page.text}) AS page ON true
ORDER BY page.position::bigint`;

  return async (execute: Execute, after: GlobalPosition, bring: PageLimits): Promise<PositionScan> => {
    const rows = await execute<HeadRow>(text, page.valuesFor({ after, upTo: GREATEST_POSITION, ...bring }));
    const [{ highest, ...state }] = rows as [HeadRow];
    const run: PageRow[] = [];
    let contiguous = after;
    let hole = false;
    for (const row of rows) {
      if (row.position === null) break;
      hole = BigInt(row.position) !== contiguous + 1n;
      if (hole || !fits(row)) break;
      run.push(row);
      contiguous += 1n;
    }
    return { contiguous, hole, highest: BigInt(highest), page: toLogPage(run, contiguous), ...toServerState(state) };
  };
}
