import { PgBoss } from "pg-boss";
import { connect } from "../../workload/connect.ts";
import { type OrderPayload, orderPayload } from "../../workload/orders.ts";

const QUEUE = "order-events";

/** A queue of pg-boss that tells workers of new jobs through `NOTIFY`. */
export async function openBoss(url: string, connections: number) {
  const boss = new PgBoss({ connectionString: url, max: connections, useListenNotify: true });
  let trouble: unknown;
  boss.on("error", (error) => {
    trouble = error;
  });
  await boss.start();
  await boss.createQueue(QUEUE, { notify: true });
  const sql = connect(url, 1);
  return {
    async add(payload: OrderPayload): Promise<void> {
      await boss.send(QUEUE, { ...payload });
    },
    /** Adds many, a thousand at a time. */
    async fill(jobs: number): Promise<void> {
      for (let from = 1; from <= jobs; from += 1_000) {
        const size = Math.min(1_000, jobs - from + 1);
        await boss.insert(
          QUEUE,
          Array.from({ length: size }, (_, index) => ({ data: { ...orderPayload(from + index) } })),
        );
      }
    },
    async countJobs(): Promise<number> {
      const [row] = await sql<{ count: number }[]>`SELECT count(*)::int AS count FROM pgboss.job WHERE name = ${QUEUE}`;
      return row?.count ?? 0;
    },
    /** Works until the queue is closed. `tuned`: a thousand jobs at a time, and the next at once while there are any. */
    async work(handle: (payloads: readonly OrderPayload[]) => Promise<void>): Promise<void> {
      const settings = { batchSize: 1_000, pollingIntervalSeconds: 0.5, notifyPollingIntervalSeconds: 0.5 };
      await boss.work<OrderPayload>(QUEUE, { ...settings, burstWhenReadyExceeds: 1 }, (jobs) =>
        handle(jobs.map(({ data }) => data)),
      );
    },
    /** Works, at default options, on a queue into which nothing ever comes. */
    async workIdly(queue: string): Promise<void> {
      await boss.createQueue(queue, { notify: true });
      await boss.work(queue, async () => undefined);
    },
    async close(): Promise<void> {
      await boss.stop({ graceful: true, timeout: 2_000 });
      await sql.end();
      if (trouble) throw trouble;
    },
  };
}
