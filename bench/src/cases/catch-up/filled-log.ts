import type { BenchContext } from "../../bench-case.ts";
import { connect } from "../../workload/connect.ts";
import { fillLog } from "../../workload/fill-log.ts";
import { createOrderTotals } from "../../workload/order-totals.ts";
import type { FilledLog } from "./contestants.ts";

/** Lets `work` have a log with so many events, and an empty read model beside it. */
export async function withFilledLog(
  context: BenchContext,
  events: number,
  work: (log: FilledLog) => Promise<void>,
): Promise<void> {
  const url = await context.log();
  await fillLog(url, events);
  const sql = connect(url, 1);
  try {
    await createOrderTotals(sql);
    await work({ url, sql, events });
  } finally {
    await sql.end();
  }
}
