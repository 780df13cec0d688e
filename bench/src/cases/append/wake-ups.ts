import type { BenchCase } from "../../bench-case.ts";
import { eachItsOwn } from "../../systems/pup/append.ts";
import { appendWithHead } from "../../systems/raw/append.ts";
import { appendContestants } from "./contestants.ts";

export const wakeUps: BenchCase = {
  name: "wake-ups",
  about: "what it costs appends to tell workers: not at all, together with others, each in its own transaction",
  async run(context) {
    for (const connections of context.pick({ full: [8, 32], quick: [32], smoke: [2] })) {
      const load = { connections, eventsPerAppend: 1 };
      const { pup, pupInCallersTransaction, byHand } = appendContestants(context, load);
      await context.compare({
        title: `${connections} connections, statements`,
        contestants: {
          pup: pup({ ...eachItsOwn, notify: {} }),
          "pup, no wake-ups": pup(eachItsOwn),
          raw: byHand(appendWithHead),
        },
        metrics: {
          throughput: {
            unit: "events/s",
            better: "more",
            goals: [{ relativeTo: "pup, no wake-ups", atLeast: 0.9 }],
          },
          p99: { unit: "ms", better: "less" },
        },
      });
      await context.compare({
        title: `${connections} connections, application's transactions`,
        contestants: {
          pup: pupInCallersTransaction({ wake: true }),
          "pup, no wake-ups": pupInCallersTransaction({ wake: false }),
          raw: byHand((sql, order) =>
            sql.begin(async (tx) => {
              await appendWithHead(tx, order);
              await tx`SELECT pg_notify('pup_events', 'events')`;
            }),
          ),
          "raw, no wake-ups": byHand((sql, order) => sql.begin((tx) => appendWithHead(tx, order))),
        },
        metrics: { throughput: { unit: "events/s", better: "more" }, p99: { unit: "ms", better: "less" } },
      });
    }
  },
};
