import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { createWorker } from "@pup/coordinator";
import { type Consumer, defineConsumer } from "@pup/core";
import { createNotifyDispatcher } from "@pup/dispatch-notify";
import { createPgStore, type PgTransaction } from "@pup/store-pg";
import type { BenchCase, BenchContext } from "../../bench-case.ts";
import type { OpenContestant } from "../../measuring/compare.ts";
import { percentile } from "../../measuring/statistics.ts";
import { check } from "../../workload/check.ts";
import { type FilledLog, withFilledLog } from "../../workload/filled-log.ts";
import { orAborted } from "../../workload/or-aborted.ts";
import type { OrderPayload } from "../../workload/orders.ts";
import { startProducer } from "../../workload/producer.ts";

const NEIGHBOURS = 4;
const PER_SECOND = 20;

type Metric = "p50" | "p99" | "replay";

export const neighbour: BenchCase = {
  name: "neighbour",
  about: "how soon live consumers handle events while another one of their process replays a long log",
  async run(context) {
    await withFilledLog(context, context.pick({ full: 1_000_000, quick: 200_000, smoke: 300 }), async (log) => {
      await context.compare<Metric>({
        title: `${NEIGHBOURS} live consumers at ${PER_SECOND} events/s`,
        contestants: {
          pup: liveBeside(context, log, { replays: true }),
          "pup, no replay": liveBeside(context, log, { replays: false }),
        },
        metrics: {
          p50: { unit: "ms", better: "less" },
          p99: { unit: "ms", better: "less", goals: [{ atMost: 50 }] },
          replay: { unit: "events/s", better: "more" },
        },
        warmUp: 0,
        rounds: context.pick({ full: 3, quick: 1, smoke: 1 }),
      });
    });
  },
};

/** Default options; the neighbours begin at the head. The replay ends the turn. */
function liveBeside(
  { signal, pick }: BenchContext,
  log: FilledLog,
  { replays }: { replays: boolean },
): OpenContestant<Metric> {
  return async () => ({
    async measure() {
      const turn = randomUUID();
      const handledAt = new Map<number, number[]>();
      const live = Array.from({ length: NEIGHBOURS }, (_, index) =>
        defineConsumer<PgTransaction>({
          name: `live-${turn}-${index}`,
          startFrom: "head",
          handle({ payload, aggregateId }) {
            if (!aggregateId.startsWith(turn)) return;
            const { number } = payload as OrderPayload;
            const at = performance.timeOrigin + performance.now();
            handledAt.set(number, [...(handledAt.get(number) ?? []), at]);
          },
        }),
      );
      let replayed = 0;
      const replay = defineConsumer<PgTransaction>({
        name: `replay-${turn}`,
        handle() {
          replayed += 1;
        },
      });

      const store = createPgStore({ connection: log.url, max: 16, notify: {} });
      const all: Consumer<PgTransaction>[] = live;
      const neighbours = createWorker({
        store,
        dispatcher: createNotifyDispatcher({ connection: log.url }),
        consumers: replays ? [...all, replay] : all,
        assignmentPollMs: 50,
      });
      const atHead = new Set<string>();
      const { promise: allLive, resolve: onAllLive } = Promise.withResolvers<void>();
      const { promise: replayDone, resolve: onReplayDone } = Promise.withResolvers<void>();
      let replayBeganAt = Number.NaN;
      neighbours.events.on("consumer:acquired", ({ consumer }) => {
        if (consumer === replay.name) replayBeganAt = performance.now();
      });
      neighbours.events.on("consumer:caught-up", ({ consumer }) => {
        if (consumer === replay.name) onReplayDone();
        else atHead.add(consumer);
        if (atHead.size === NEIGHBOURS) onAllLive();
      });
      const running = neighbours.start({ signal });
      let producer: ReturnType<typeof startProducer> | undefined;
      try {
        await orAborted(signal, allLive, running);
        producer = startProducer({ url: log.url, perSecond: PER_SECOND, orderPrefix: turn });
        const restMs = pick({ full: 10_000, quick: 2_500, smoke: 300 });
        await orAborted(signal, replays ? replayDone : sleep(restMs), producer.failed, running);
        const replayMs = performance.now() - replayBeganAt;
        await producer.stop();
        const { acknowledged } = producer;
        const isDone = () => acknowledged.every(({ number }) => handledAt.get(number)?.length === NEIGHBOURS);
        for (let patience = 1_000; !isDone() && patience > 0; patience--) await sleep(10, undefined, { signal });
        const times = acknowledged.flatMap(({ number, at }) =>
          (handledAt.get(number) ?? []).map((handled) => Math.max(0, handled - at)),
        );
        check("deliveries", times.length, acknowledged.length * NEIGHBOURS);
        return {
          p50: percentile(times, 0.5),
          p99: percentile(times, 0.99),
          replay: replays ? (replayed / replayMs) * 1_000 : Number.NaN,
        };
      } finally {
        await producer?.stop();
        await neighbours.stop();
        await store.close();
      }
    },
    close: async () => undefined,
  });
}
