import type { BenchContext } from "../bench-case.ts";
import { type Client, connect } from "./connect.ts";
import { createOrderTotals } from "./order-totals.ts";
import { RARE_TYPE } from "./orders.ts";

/** A filled log, with a read model beside it that is empty. */
export interface FilledLog {
  readonly url: string;
  readonly sql: Client;
  /** Events in it. */
  readonly events: number;
  /** Those of the rare type. */
  readonly rareEvents: number;
}

/** Lets `work` have a log with so many events, or a few more that others have appended. */
export async function withFilledLog(
  context: Pick<BenchContext, "filledLog">,
  events: number,
  work: (log: FilledLog) => Promise<void>,
): Promise<void> {
  const url = await context.filledLog(events);
  const sql = connect(url, 1);
  try {
    await createOrderTotals(sql);
    const [row] = await sql<{ all: number; rare: number }[]>`
      SELECT count(*)::int AS all, (count(*) FILTER (WHERE event_type = ${RARE_TYPE}))::int AS rare FROM events`;
    await work({ url, sql, events: row?.all ?? 0, rareEvents: row?.rare ?? 0 });
  } finally {
    await sql.end();
  }
}
