import type { BenchCase } from "../../bench-case.ts";
import type { Goal } from "../../measuring/goal.ts";
import { withFilledLog } from "../../workload/filled-log.ts";
import { catchUpContestants } from "./contestants.ts";
import { atOnce, nothing, oneByOne, pipelined } from "./handling.ts";

const EVENTS = { full: 200_000, quick: 30_000, smoke: 300 } as const;
/** Where each event is written somewhere, fewer of them last as long. */
const WRITTEN_EVENTS = { full: 50_000, quick: 8_000, smoke: 300 } as const;

export const catchUp: BenchCase = {
  name: "catch-up",
  about: "one consumer reads the whole log, and commits its effects and its checkpoint in batches of 1,000",
  async run(context) {
    const metrics = (...goals: Goal[]) => ({ throughput: { unit: "events/s", better: "more" as const, goals } });

    await withFilledLog(context, context.pick(EVENTS), async (log) => {
      const doing = catchUpContestants(context, log, nothing);
      await context.compare({
        title: "handlers that do nothing",
        contestants: {
          pup: doing.pup(),
          "pup, default options": doing.pup({ batchSize: undefined }),
          raw: doing.byHand,
          Emmett: doing.emmett(),
          "graphile-worker": doing.graphile,
          "pg-boss": doing.boss,
        },
        metrics: metrics(
          { relativeTo: "raw", atLeast: 0.9 },
          { relativeTo: "Emmett", atLeast: 25 },
          { relativeTo: "graphile-worker", atLeast: 4 },
        ),
      });
    });

    await withFilledLog(context, context.pick(WRITTEN_EVENTS), async (log) => {
      const writing = catchUpContestants(context, log, oneByOne);
      await context.compare({
        title: "one upsert per event, awaited",
        contestants: {
          pup: writing.pup(),
          raw: writing.byHand,
          Emmett: writing.emmett(),
          "graphile-worker": writing.graphile,
        },
        metrics: metrics({ relativeTo: "raw", atLeast: 1 }, { relativeTo: "Emmett", atLeast: 3 }),
      });

      const sending = catchUpContestants(context, log, pipelined);
      await context.compare({
        title: "one upsert per event, pipelined",
        contestants: { pup: sending.pup(), raw: sending.byHand },
        metrics: metrics({ relativeTo: "raw", atLeast: 0.95 }),
      });

      const joining = catchUpContestants(context, log, atOnce);
      await context.compare({
        title: "one upsert per batch",
        contestants: { pup: joining.pup(), "pup, one upsert per event": writing.pup(), raw: joining.byHand },
        metrics: metrics({ relativeTo: "raw", atLeast: 0.9 }, { relativeTo: "pup, one upsert per event", atLeast: 3 }),
      });
    });
  },
};
