import { randomUUID } from "node:crypto";
import { defineConsumer } from "@pup/core";
import type { BenchCase, BenchContext } from "../../bench-case.ts";
import type { OpenContestant } from "../../measuring/compare.ts";
import { catchUpWithPup } from "../../systems/pup/catch-up.ts";
import { catchUpByHand } from "../../systems/raw/catch-up.ts";
import { check } from "../../workload/check.ts";
import { connect } from "../../workload/connect.ts";
import { type FilledLog, withFilledLog } from "../../workload/filled-log.ts";
import { RARE_TYPE } from "../../workload/orders.ts";

const BATCH_SIZE = 1_000;

export const scoped: BenchCase = {
  name: "scoped",
  about: "catch-up of a consumer for which one event in a hundred is meant",
  async run(context) {
    await withFilledLog(context, context.pick({ full: 200_000, quick: 30_000, smoke: 300 }), async (log) => {
      const pup = (eventTypes?: readonly string[]) => timeOfPup(context, log, eventTypes);
      await context.compare({
        title: "1 % of the events",
        contestants: {
          pup: pup([RARE_TYPE]),
          "pup, all events": pup(),
          raw: timeByHand(context, log),
        },
        metrics: {
          time: { unit: "ms", better: "less", goals: [{ relativeTo: "pup, all events", atMost: 0.05 }] },
        },
      });
    });
  },
};

function timeOfPup(
  { signal }: BenchContext,
  log: FilledLog,
  eventTypes: readonly string[] | undefined,
): OpenContestant<"time"> {
  return async () => ({
    async measure() {
      let handled = 0;
      const consumer = defineConsumer({
        name: `scoped-${randomUUID()}`,
        ...(eventTypes && { eventTypes }),
        handle() {
          handled += 1;
        },
      });
      const time = await catchUpWithPup({ url: log.url, consumers: [consumer], batchSize: BATCH_SIZE, signal });
      check("events handled", handled, eventTypes ? log.rareEvents : log.events);
      return { time };
    },
    close: async () => undefined,
  });
}

function timeByHand({ signal }: BenchContext, log: FilledLog): OpenContestant<"time"> {
  return async () => {
    const sql = connect(log.url, 2);
    return {
      async measure() {
        const startedAt = performance.now();
        const handled = await catchUpByHand(sql, {
          consumer: `scoped-raw-${randomUUID()}`,
          batchSize: BATCH_SIZE,
          eventType: RARE_TYPE,
          handle: async () => undefined,
          signal,
        });
        const time = performance.now() - startedAt;
        check("events handled", handled, log.rareEvents);
        return { time };
      },
      close: () => sql.end(),
    };
  };
}
