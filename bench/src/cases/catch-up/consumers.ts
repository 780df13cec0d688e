import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import type { BenchCase, BenchContext } from "../../bench-case.ts";
import type { OpenContestant } from "../../measuring/compare.ts";
import { catchUpWithPup } from "../../systems/pup/catch-up.ts";
import { catchUpByHand } from "../../systems/raw/catch-up.ts";
import { check } from "../../workload/check.ts";
import { connect } from "../../workload/connect.ts";
import { type FilledLog, withFilledLog } from "../../workload/filled-log.ts";
import { catchUpContestants } from "./contestants.ts";
import { nothing } from "./handling.ts";

const CONSUMERS = 8;
const BATCH_SIZE = 1_000;

type Metric = "deliveries" | "rows read per event";

export const consumers: BenchCase = {
  name: "consumers",
  about: `${CONSUMERS} consumers of one process that begin at the beginning together`,
  async run(context) {
    await withFilledLog(context, context.pick({ full: 200_000, quick: 30_000, smoke: 300 }), async (log) => {
      const { emmett } = catchUpContestants(context, log, nothing);
      const emmettDeliveries: OpenContestant<Metric> = async () => {
        const contestant = await emmett({ consumers: CONSUMERS })();
        return {
          close: contestant.close,
          measure: async () => ({
            deliveries: (await contestant.measure()).throughput,
            "rows read per event": Number.NaN,
          }),
        };
      };
      await context.compare<Metric>({
        title: `${CONSUMERS} consumers`,
        contestants: {
          pup: pupContestant(context, log, CONSUMERS),
          "pup, one consumer": pupContestant(context, log, 1),
          raw: rawContestant(context, log),
          ...(context.pick({ full: true, quick: false, smoke: true }) && { Emmett: emmettDeliveries }),
        },
        metrics: {
          deliveries: {
            unit: "events/s",
            better: "more",
            goals: [{ relativeTo: "pup, one consumer", atLeast: 2 }],
          },
          "rows read per event": { unit: "rows", better: "less", goals: [{ atMost: 1.5 }] },
        },
      });
    });
  },
};

function pupContestant({ signal }: BenchContext, log: FilledLog, count: number): OpenContestant<Metric> {
  return async () => ({
    async measure() {
      let handled = 0;
      const onHandled = (events: number) => {
        handled += events;
      };
      const all = Array.from({ length: count }, () => nothing.consumer(`pup-${randomUUID()}`, onHandled));
      const before = await rowsRead(log);
      const elapsedMs = await catchUpWithPup({ url: log.url, consumers: all, batchSize: BATCH_SIZE, signal });
      check("events handled", handled, log.events * count);
      return {
        deliveries: (handled / elapsedMs) * 1_000,
        "rows read per event": ((await rowsRead(log)) - before) / log.events,
      };
    },
    close: async () => undefined,
  });
}

/** Each in a loop of its own. */
function rawContestant({ signal }: BenchContext, log: FilledLog): OpenContestant<Metric> {
  return async () => ({
    async measure() {
      const before = await rowsRead(log);
      const startedAt = performance.now();
      const handled = await Promise.all(
        Array.from({ length: CONSUMERS }, async () => {
          const sql = connect(log.url, 2);
          try {
            const options = { batchSize: BATCH_SIZE, handle: async () => undefined, signal };
            return await catchUpByHand(sql, { ...options, consumer: `raw-${randomUUID()}` });
          } finally {
            await sql.end();
          }
        }),
      );
      const elapsedMs = performance.now() - startedAt;
      for (const events of handled) check("events handled", events, log.events);
      return {
        deliveries: ((log.events * CONSUMERS) / elapsedMs) * 1_000,
        "rows read per event": ((await rowsRead(log)) - before) / log.events,
      };
    },
    close: async () => undefined,
  });
}

/** Rows of the log that the server has read so far, by its own count. Sessions report theirs at their end, if not before. */
async function rowsRead({ sql }: FilledLog): Promise<number> {
  for (;;) {
    const [others] = await sql<{ count: number }[]>`
      SELECT count(*)::int AS count FROM pg_stat_activity
      WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()`;
    if (others?.count === 0) break;
    await sleep(20);
  }
  const [row] = await sql<{ rows: number }[]>`
    SELECT (seq_tup_read + coalesce(idx_tup_fetch, 0))::float8 AS rows FROM pg_stat_user_tables WHERE relname = 'events'`;
  return row?.rows ?? Number.NaN;
}
