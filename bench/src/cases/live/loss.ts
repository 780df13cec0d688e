import type { BenchCase, BenchContext } from "../../bench-case.ts";
import type { OpenContestant } from "../../measuring/compare.ts";
import type { OpenLive } from "../../systems/live-system.ts";
import { pupLive } from "../../systems/pup/live.ts";
import { call } from "../../workload/call.ts";
import { openFeed, untilHandled } from "../../workload/feed.ts";
import { orderPayload } from "../../workload/orders.ts";
import { everybodyElse } from "./everybody-else.ts";

export const loss: BenchCase = {
  name: "loss",
  about: "events that never come to a live consumer, of all that writers have committed side by side",
  async run(context) {
    for (const writers of context.pick({ full: [1, 8, 32], quick: [32], smoke: [2] })) {
      const contestant = lossContestant(context, writers);
      await context.compare({
        title: `${writers} writer${writers > 1 ? "s" : ""}`,
        contestants: {
          pup: contestant(pupLive({ dispatcher: "notify" })),
          ...everybodyElse(contestant),
        },
        metrics: {
          lost: { unit: "%", better: "less", goals: [{ atMost: 0 }] },
          committed: { unit: "events", better: "more" },
        },
        warmUp: 0,
        rounds: 1,
      });
    }
  },
};

function lossContestant(context: BenchContext, writers: number) {
  const { signal } = context;
  return (open: OpenLive): OpenContestant<"lost" | "committed"> =>
    async () => {
      const feed = await openFeed(open, { url: await context.database(), connections: writers, signal });
      return {
        async measure() {
          let next = 0;
          const committed: number[] = [];
          const forMs = context.pick({ full: 3_000, quick: 1_000, smoke: 100 });
          await call({ callers: writers, forMs, signal }, () => async () => {
            const number = next++;
            await feed.append(orderPayload(number));
            committed.push(number);
          });
          const handled = await untilHandled(feed, committed, { quietMs: 3_000, signal });
          return { lost: ((committed.length - handled) / committed.length) * 100, committed: committed.length };
        },
        close: feed.close,
      };
    };
}
