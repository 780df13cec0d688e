import { setTimeout as sleep } from "node:timers/promises";
import type { BenchCase, BenchContext } from "../../bench-case.ts";
import type { OpenContestant } from "../../measuring/compare.ts";
import { percentile } from "../../measuring/statistics.ts";
import type { OpenLive } from "../../systems/live-system.ts";
import { pupLive } from "../../systems/pup/live.ts";
import { check } from "../../workload/check.ts";
import { openFeed, untilHandled } from "../../workload/feed.ts";
import { orderPayload } from "../../workload/orders.ts";
import { everybodyElse } from "./everybody-else.ts";

/** Events per second: few enough that none waits for another. */
const RATE = 20;
/** What the poll dispatcher waits between two questions by default, in milliseconds. */
const POLL_INTERVAL_MS = 200;

export const latency: BenchCase = {
  name: "latency",
  about: `from the acknowledged append to the handler, at ${RATE} events per second`,
  async run(context) {
    const contestant = latencyContestant(context);
    const ms = { unit: "ms", better: "less" } as const;
    await context.compare({
      title: `${RATE} events/s`,
      contestants: {
        pup: contestant(pupLive({ dispatcher: "notify" })),
        "pup, notified in the transaction": contestant(pupLive({ dispatcher: "notify", inCallersTransaction: true })),
        "pup, poll": contestant(pupLive({ dispatcher: "poll" })),
        ...everybodyElse(contestant),
      },
      metrics: {
        p50: {
          ...ms,
          goals: [
            { relativeTo: "raw", atMost: 1.3 },
            { relativeTo: "graphile-worker", atMost: 1 },
          ],
        },
        p95: ms,
        p99: { ...ms, goals: [{ atMost: 5 }, { of: "pup, poll", atMost: POLL_INTERVAL_MS + 10 }] },
      },
      // Everybody has handled something before the first turn.
      warmUp: 0,
      rounds: context.pick({ full: undefined, quick: 1, smoke: 1 }),
    });
  },
};

function latencyContestant(context: BenchContext) {
  const { signal } = context;
  return (open: OpenLive): OpenContestant<"p50" | "p95" | "p99"> =>
    async () => {
      const feed = await openFeed(open, { url: await context.database(), connections: 2, signal });
      let next = 0;
      return {
        async measure() {
          const acknowledgedAt = new Map<number, number>();
          for (let left = context.pick({ full: 100, quick: 25, smoke: 3 }); left > 0; left--) {
            const number = next++;
            await feed.append(orderPayload(number));
            acknowledgedAt.set(number, performance.now());
            // Not in step with anybody's interval.
            await sleep((1_000 / RATE) * (0.5 + Math.random()), undefined, { signal });
          }
          const numbers = [...acknowledgedAt.keys()];
          check("events handled", await untilHandled(feed, numbers, { quietMs: 10_000, signal }), numbers.length);
          // A handler may be told before the writer is.
          const times = [...acknowledgedAt].map(([number, at]) => Math.max(0, (feed.handledAt.get(number) ?? 0) - at));
          return { p50: percentile(times, 0.5), p95: percentile(times, 0.95), p99: percentile(times, 0.99) };
        },
        close: feed.close,
      };
    };
}
