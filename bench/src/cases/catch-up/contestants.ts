import { randomUUID } from "node:crypto";
import type { BenchContext } from "../../bench-case.ts";
import type { OpenContestant } from "../../measuring/compare.ts";
import { openEmmett, startEmmettConsumer } from "../../systems/emmett/emmett.ts";
import { openGraphileQueue, startGraphileRunner } from "../../systems/graphile-worker/graphile-worker.ts";
import { openBoss } from "../../systems/pg-boss/pg-boss.ts";
import { catchUpWithPup } from "../../systems/pup/catch-up.ts";
import { catchUpByHand } from "../../systems/raw/catch-up.ts";
import { check } from "../../workload/check.ts";
import { type Client, connect } from "../../workload/connect.ts";
import type { FilledLog } from "../../workload/filled-log.ts";
import { orAborted } from "../../workload/or-aborted.ts";
import { createOrderTotals, takeOrderTotals } from "../../workload/order-totals.ts";
import { EVENTS_PER_ORDER, type OrderPayload, orderPayload } from "../../workload/orders.ts";
import type { Handling } from "./handling.ts";

/** Batch size of pup and of the loop by hand, unless it says otherwise. */
const BATCH_SIZE = 1_000;

/** Events that peers catch up with: their pace does not depend on how many there are, and some would take minutes. */
const PEER_EVENTS = { full: 20_000, quick: 3_000, smoke: 200 } as const;

/** Jobs that graphile-worker has at a time. */
const GRAPHILE_JOBS = 24;

/** Ways to catch up with a log. What they read off is events per second. */
export function catchUpContestants(context: BenchContext, log: FilledLog, handling: Handling) {
  const { signal } = context;

  /** Looks at what was counted, and at the read model where there is one. */
  async function checkWork(handled: number, expected: number): Promise<void> {
    check("events handled", handled, expected);
    if (handling.writes) check("events in the read model", await takeOrderTotals(log.sql), expected);
  }

  const pup =
    ({ batchSize = BATCH_SIZE }: { batchSize?: number | undefined } = {}): OpenContestant<"throughput"> =>
    async () => ({
      async measure() {
        let handled = 0;
        const consumer = handling.consumer(`pup-${randomUUID()}`, (count) => {
          handled += count;
        });
        const elapsedMs = await catchUpWithPup({ url: log.url, consumers: [consumer], batchSize, signal });
        await checkWork(handled, log.events);
        return { throughput: (log.events / elapsedMs) * 1_000 };
      },
      close: async () => undefined,
    });

  const byHand: OpenContestant<"throughput"> = async () => {
    const sql = connect(log.url, 2);
    return {
      async measure() {
        const startedAt = performance.now();
        const consumer = `raw-${randomUUID()}`;
        const handled = await catchUpByHand(sql, {
          consumer,
          batchSize: BATCH_SIZE,
          handle: handling.batch,
          signal,
        });
        const elapsedMs = performance.now() - startedAt;
        signal.throwIfAborted();
        await checkWork(handled, log.events);
        return { throughput: (log.events / elapsedMs) * 1_000 };
      },
      close: () => sql.end(),
    };
  };

  const emmett =
    ({ consumers = 1 } = {}): OpenContestant<"throughput"> =>
    async () => {
      const events = context.pick(PEER_EVENTS);
      const url = await context.database();
      const store = await openEmmett(url, 4);
      for (let from = 0; from < events; from += EVENTS_PER_ORDER) {
        const payloads = Array.from({ length: EVENTS_PER_ORDER }, (_, index) => orderPayload(from + index));
        await store.append({ orderId: `order-${from}`, payloads });
        signal.throwIfAborted();
      }
      const readModel = await openReadModel(url);
      return {
        async measure() {
          const startedAt = performance.now();
          const outcomes = await Promise.all(
            Array.from({ length: consumers }, async () => {
              const { promise: done, resolve } = Promise.withResolvers<void>();
              let handled = 0;
              const consumer = startEmmettConsumer({
                url,
                name: `emmett-${randomUUID()}`,
                pulling: "tuned",
                async handle(payload, query) {
                  await handling.one(payload, query);
                  handled += 1;
                  if (handled === events) resolve();
                },
              });
              try {
                await orAborted(signal, done, consumer.running);
                return { elapsedMs: performance.now() - startedAt, handled };
              } finally {
                await consumer.stop();
              }
            }),
          );
          for (const { handled } of outcomes) check("events handled", handled, events);
          if (handling.writes) check("events in the read model", await takeOrderTotals(readModel), events);
          const elapsedMs = Math.max(...outcomes.map((outcome) => outcome.elapsedMs));
          return { throughput: ((events * consumers) / elapsedMs) * 1_000 };
        },
        close: () => Promise.all([store.close(), readModel.end()]),
      };
    };

  const graphile: OpenContestant<"throughput"> = async () => {
    const jobs = context.pick(PEER_EVENTS);
    const url = await context.database();
    const queue = await openGraphileQueue(url, 2);
    const readModel = await openReadModel(url);
    return {
      async measure() {
        await queue.fill(jobs);
        const { promise: done, resolve } = Promise.withResolvers<void>();
        let handled = 0;
        const startedAt = performance.now();
        const runner = await startGraphileRunner({
          url,
          concurrency: GRAPHILE_JOBS,
          queue: "tuned",
          async handle(payload, { query }) {
            await handling.one(payload as OrderPayload, (text, values) => query(text, [...values]));
            handled += 1;
            if (handled === jobs) resolve();
          },
        });
        try {
          await orAborted(signal, done, runner.promise);
        } finally {
          await runner.stop();
        }
        // Its stop has waited for the last completions, which belong to the work.
        const elapsedMs = performance.now() - startedAt;
        check("jobs handled", handled, jobs);
        if ((await queue.countJobs()) > 0) throw new Error("Expected all jobs to be completed.");
        if (handling.writes) check("events in the read model", await takeOrderTotals(readModel), jobs);
        return { throughput: (jobs / elapsedMs) * 1_000 };
      },
      close: () => Promise.all([queue.close(), readModel.end()]),
    };
  };

  const boss: OpenContestant<"throughput"> = async () => ({
    async measure() {
      // A queue that works goes on working: each turn has one of its own.
      const jobs = context.pick(PEER_EVENTS);
      const queue = await openBoss(await context.database(), 10);
      try {
        await queue.fill(jobs);
        const { promise: done, resolve } = Promise.withResolvers<void>();
        let handled = 0;
        const startedAt = performance.now();
        await queue.work(async (payloads) => {
          handled += payloads.length;
          if (handled === jobs) resolve();
        });
        await orAborted(signal, done);
        const elapsedMs = performance.now() - startedAt;
        check("jobs handled", handled, jobs);
        return { throughput: (jobs / elapsedMs) * 1_000 };
      } finally {
        await queue.close();
      }
    },
    close: async () => undefined,
  });

  async function openReadModel(url: string): Promise<Client> {
    const sql = connect(url, 1);
    if (handling.writes) await createOrderTotals(sql);
    return sql;
  }

  return { pup, byHand, emmett, graphile, boss };
}
