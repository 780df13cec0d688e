import type { OrderPayload } from "../workload/orders.ts";
import { openEmmett, startEmmettConsumer } from "./emmett/emmett.ts";
import { openGraphileQueue, startGraphileRunner } from "./graphile-worker/graphile-worker.ts";
import type { OpenLive } from "./live-system.ts";
import { openBoss } from "./pg-boss/pg-boss.ts";

export const emmettLive: OpenLive = async ({ url, connections, onHandled }) => {
  const store = await openEmmett(url, connections);
  const consumer = startEmmettConsumer({
    url,
    name: "live",
    pulling: "tuned",
    handle: ({ number }) => onHandled(number),
  });
  return {
    append: (payload) => store.append({ orderId: `order-${payload.number}`, payloads: [payload] }),
    async close() {
      await consumer.stop();
      await store.close();
    },
  };
};

/** One runner that handles one job at a time, as a consumer does with events. */
export const graphileLive: OpenLive = async ({ url, connections, onHandled }) => {
  const queue = await openGraphileQueue(url, connections);
  const runner = await startGraphileRunner({
    url,
    concurrency: 1,
    async handle(payload) {
      onHandled((payload as OrderPayload).number);
    },
  });
  return {
    append: queue.add,
    async close() {
      await runner.stop();
      await queue.close();
    },
  };
};

export const bossLive: OpenLive = async ({ url, connections, onHandled }) => {
  const queue = await openBoss(url, connections);
  await queue.work(async (payloads) => {
    for (const { number } of payloads) onHandled(number);
  });
  return { append: queue.add, close: queue.close };
};
