import type { BenchCase, Size } from "../../bench-case.ts";
import { eachItsOwn } from "../../systems/pup/append.ts";
import { appendWithHead, insertEvents } from "../../systems/raw/append.ts";
import { appendContestants } from "./contestants.ts";

/** How much faster than Emmett, by connections. */
const TIMES_EMMETT: Readonly<Record<number, number>> = { 1: 2, 8: 3, 32: 4 };

/** Events per append, with the numbers of connections. */
const LOADS: Readonly<Record<Size, readonly (readonly [number, readonly number[]])[]>> = {
  full: [
    [1, [1, 8, 32]],
    [10, [1, 8, 32]],
  ],
  quick: [
    [1, [1, 8, 32]],
    [10, [8]],
  ],
  smoke: [[1, [2]]],
};

export const append: BenchCase = {
  name: "append",
  about: "appends, each a transaction of its own, as many at a time as there are connections",
  async run(context) {
    for (const [eventsPerAppend, connectionCounts] of context.pick(LOADS)) {
      for (const connections of connectionCounts) {
        const { pup, byHand, emmett, graphile, boss } = appendContestants(context, { connections, eventsPerAppend });
        const isCompared = eventsPerAppend === 1;
        await context.compare({
          title: `${connections} connection${connections > 1 ? "s" : ""}, ${eventsPerAppend} event${isCompared ? "" : "s"}`,
          contestants: {
            pup: pup(eachItsOwn),
            raw: byHand(appendWithHead),
            "raw INSERT": byHand(insertEvents),
            Emmett: emmett,
            ...(isCompared &&
              context.pick({ full: true, quick: false, smoke: true }) && {
                "graphile-worker": graphile,
                "pg-boss": boss,
              }),
          },
          metrics: {
            throughput: {
              unit: "events/s",
              better: "more",
              goals: isCompared
                ? [
                    { relativeTo: "raw", atLeast: 0.95 },
                    { relativeTo: "Emmett", atLeast: TIMES_EMMETT[connections] ?? 2 },
                  ]
                : [],
            },
            p99: { unit: "ms", better: "less" },
          },
        });
      }
    }
  },
};
