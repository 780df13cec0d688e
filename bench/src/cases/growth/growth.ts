import { randomUUID } from "node:crypto";
import { defineConsumer } from "@pup/core";
import type { BenchCase, BenchContext } from "../../bench-case.ts";
import type { OpenContestant } from "../../measuring/compare.ts";
import { eachItsOwn, openStore, toNewEvents } from "../../systems/pup/append.ts";
import { catchUpWithPup } from "../../systems/pup/catch-up.ts";
import { appendWithHead } from "../../systems/raw/append.ts";
import { call } from "../../workload/call.ts";
import { check } from "../../workload/check.ts";
import { connect } from "../../workload/connect.ts";
import { withFilledLog } from "../../workload/filled-log.ts";
import { createOrders, type OrderAppend } from "../../workload/orders.ts";

const CONNECTIONS = 8;
/** How much of its speed pup may lose on the longer log. */
const KEPT = 0.85;

export const growth: BenchCase = {
  name: "growth",
  about: "appends and the reading of the newest events, on a short log and on longer ones",
  async run(context) {
    const [short, ...longer] = context.pick({
      full: context.huge ? [100_000, 1_000_000, 10_000_000] : [100_000, 1_000_000],
      quick: [20_000, 200_000],
      smoke: [300, 600],
    });
    for (const long of longer) {
      const events = (count: number) => count.toLocaleString("en");
      const onShort = `pup, ${events(short ?? 0)} events`;
      const goals = [{ relativeTo: onShort, atLeast: KEPT }];

      await context.compare({
        title: `appends to ${events(long)} events, ${CONNECTIONS} connections`,
        contestants: {
          pup: appends(context, long, "pup"),
          [onShort]: appends(context, short ?? 0, "pup"),
          raw: appends(context, long, "raw"),
        },
        metrics: { throughput: { unit: "events/s", better: "more", goals } },
      });
      await context.compare({
        title: `the newest of ${events(long)} events`,
        contestants: { pup: newest(context, long), [onShort]: newest(context, short ?? 0) },
        metrics: { throughput: { unit: "events/s", better: "more", goals } },
      });
    }
  },
};

function appends(context: BenchContext, events: number, system: "pup" | "raw"): OpenContestant<"throughput"> {
  const { signal, pick } = context;
  return async () => {
    const url = await context.filledLog(events);
    const sql = connect(url, CONNECTIONS);
    const store = openStore(url, CONNECTIONS, eachItsOwn);
    const append = (order: OrderAppend) =>
      system === "pup" ? store.append(toNewEvents(order)) : appendWithHead(sql, order);
    return {
      async measure() {
        const turn = randomUUID();
        const forMs = pick({ full: 1_500, quick: 300, smoke: 30 });
        const { calls, callsPerSecond } = await call({ callers: CONNECTIONS, forMs, signal }, (caller) => {
          const next = createOrders(`${turn}-${caller}`, 1);
          return () => append(next());
        });
        const [row] = await sql<{ count: number }[]>`
          SELECT count(*)::int AS count FROM events WHERE aggregate_id LIKE ${`order-${turn}-%`}
            AND global_position > (SELECT max(global_position) FROM events) - 1000000`;
        check("events in the log", row?.count ?? 0, calls);
        return { throughput: callsPerSecond };
      },
      close: () => Promise.all([store.close(), sql.end()]),
    };
  };
}

/** A consumer that begins so far before the end, in batches of 1,000. */
function newest(context: BenchContext, events: number): OpenContestant<"throughput"> {
  const { signal, pick } = context;
  const count = pick({ full: 50_000, quick: 10_000, smoke: 200 });
  return async () => ({
    async measure() {
      let measured = Number.NaN;
      await withFilledLog(context, events, async ({ url, sql }) => {
        const [row] = await sql<{ position: bigint }[]>`
          SELECT global_position AS position FROM events ORDER BY global_position DESC OFFSET ${count} LIMIT 1`;
        let handled = 0;
        const consumer = defineConsumer({
          name: `newest-${randomUUID()}`,
          startFrom: row?.position ?? 0n,
          handle() {
            handled += 1;
          },
        });
        const elapsedMs = await catchUpWithPup({ url, consumers: [consumer], batchSize: 1_000, signal });
        check("events handled", handled, count);
        measured = (handled / elapsedMs) * 1_000;
      });
      return { throughput: measured };
    },
    close: async () => undefined,
  });
}
