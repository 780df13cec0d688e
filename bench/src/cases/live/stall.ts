import { setTimeout as sleep } from "node:timers/promises";
import type { BenchCase, BenchContext } from "../../bench-case.ts";
import type { OpenContestant } from "../../measuring/compare.ts";
import type { OpenLive } from "../../systems/live-system.ts";
import { pupLive } from "../../systems/pup/live.ts";
import { check } from "../../workload/check.ts";
import { connect } from "../../workload/connect.ts";
import { openFeed, untilHandled } from "../../workload/feed.ts";
import { orderPayload } from "../../workload/orders.ts";
import { everybodyElse } from "./everybody-else.ts";

/** Time between two events, in milliseconds. */
const EVERY_MS = 100;
/** The transaction stays open for so long after the last event: enough for the slowest poll, in milliseconds. */
const GRACE_MS = 1_500;

export const stall: BenchCase = {
  name: "stall",
  about: "what comes to the handler while a transaction that has nothing to do with events stays open",
  async run(context) {
    const contestant = stallContestant(context);
    await context.compare({
      title: "an unrelated transaction",
      contestants: {
        pup: contestant(pupLive({ dispatcher: "notify" })),
        ...everybodyElse(contestant),
      },
      metrics: {
        "handled meanwhile": { unit: "%", better: "more", goals: [{ atLeast: 100 }] },
        "longest delay": { unit: "ms", better: "less" },
      },
      warmUp: 0,
      rounds: 1,
    });
  },
};

function stallContestant(context: BenchContext) {
  const { signal } = context;
  return (open: OpenLive): OpenContestant<"handled meanwhile" | "longest delay"> =>
    async () => {
      const url = await context.database();
      const feed = await openFeed(open, { url, connections: 2, signal });
      const sql = connect(url, 1);
      await sql`CREATE TABLE unrelated (written integer)`;
      return {
        async measure() {
          const acknowledgedAt: number[] = [];
          await sql.begin(async (tx) => {
            await tx`INSERT INTO unrelated VALUES (1)`;
            for (let number = 0; number < context.pick({ full: 80, quick: 12, smoke: 2 }); number++) {
              await feed.append(orderPayload(number));
              acknowledgedAt.push(performance.now());
              await sleep(EVERY_MS, undefined, { signal });
            }
            await sleep(context.pick({ full: GRACE_MS, quick: GRACE_MS, smoke: 100 }), undefined, { signal });
          });
          const endedAt = performance.now();
          const numbers = [...acknowledgedAt.keys()];
          check("events handled", await untilHandled(feed, numbers, { quietMs: 10_000, signal }), numbers.length);
          const handledAt = numbers.map((number) => feed.handledAt.get(number) ?? Number.NaN);
          return {
            "handled meanwhile": (handledAt.filter((at) => at < endedAt).length / numbers.length) * 100,
            "longest delay": Math.max(...handledAt.map((at, number) => at - (acknowledgedAt[number] ?? 0))),
          };
        },
        close: () => Promise.all([feed.close(), sql.end()]),
      };
    };
}
