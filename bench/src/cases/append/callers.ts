import type { BenchCase } from "../../bench-case.ts";
import { eachItsOwn } from "../../systems/pup/append.ts";
import { appendWithHead } from "../../systems/raw/append.ts";
import { appendContestants } from "./contestants.ts";

const CONNECTIONS = 32;

export const callers: BenchCase = {
  name: "callers",
  about: `callers of one store at the same time, beside as many callers of ${CONNECTIONS} connections`,
  async run(context) {
    for (const count of context.pick({ full: [1, 32, 128], quick: [1, 32, 128], smoke: [4] })) {
      const load = { connections: CONNECTIONS, callers: count, eventsPerAppend: 1 };
      const { pup, byHand, emmett } = appendContestants(context, load);
      const isCrowd = count > 1;
      await context.compare({
        title: `${count} caller${isCrowd ? "s" : ""}`,
        contestants: {
          pup: pup(),
          "pup, each its own": pup(eachItsOwn),
          raw: byHand(appendWithHead),
          Emmett: emmett,
        },
        metrics: {
          throughput: {
            unit: "events/s",
            better: "more",
            goals: isCrowd
              ? [
                  { relativeTo: "raw", atLeast: 2 },
                  { relativeTo: "Emmett", atLeast: 8 },
                ]
              : [{ relativeTo: "raw", atLeast: 0.95 }],
          },
          p99: { unit: "ms", better: "less", goals: isCrowd ? [{ relativeTo: "raw", atMost: 1 }] : [] },
        },
      });
    }
  },
};
