import { getPostgreSQLEventStore, postgreSQLEventStoreConsumer } from "@event-driven-io/emmett-postgresql";
import pg from "pg";
import { AGGREGATE_TYPE, COMMON_TYPE, type OrderAppend, type OrderPayload } from "../../workload/orders.ts";

/** Emmett's event store, with a pool of its own. */
export async function openEmmett(url: string, connections: number) {
  const pool = new pg.Pool({ connectionString: url, max: connections });
  const store = getPostgreSQLEventStore(url, { connectionOptions: { pool } });
  await store.schema.migrate();
  return {
    async append({ orderId, payloads }: OrderAppend): Promise<void> {
      const events = payloads.map((payload) => ({ type: COMMON_TYPE, data: { ...payload } }));
      await store.appendToStream(`${AGGREGATE_TYPE}-${orderId}`, events);
    },
    async countEvents(): Promise<number> {
      const { rows } = await pool.query("SELECT count(*)::int AS count FROM emt_messages");
      return rows[0].count;
    },
    async close(): Promise<void> {
      await store.close();
      await pool.end();
    },
  };
}

/** Queries within the transaction of a batch. */
export type EmmettQuery = (text: string, values: readonly unknown[]) => Promise<unknown>;

export interface EmmettConsumer {
  readonly url: string;
  readonly name: string;
  /** `"tuned"`: pages of 1,000, without a pause. @defaultValue what Emmett does by itself: 100, and 50 ms */
  readonly pulling?: "tuned";
  readonly handle: (payload: OrderPayload, query: EmmettQuery) => unknown;
}

/** Runs a consumer until it is stopped. */
export function startEmmettConsumer({ url, name, pulling, handle }: EmmettConsumer) {
  const consumer = postgreSQLEventStoreConsumer({
    connectionString: url,
    ...(pulling === "tuned" && { pulling: { batchSize: 1_000, pullingFrequencyInMs: 0 } }),
  });
  consumer.reactor({
    processorId: name,
    startFrom: "BEGINNING",
    // `eachBatch` stands in its types, and is never called.
    eachMessage: async ({ data }, { connection }) => {
      const query: EmmettQuery = async (text, values) =>
        connection.client.query({ name: text.slice(0, 60), text, values: [...values] });
      await handle(data as OrderPayload, query);
    },
  });
  const running = consumer.start();
  return {
    running,
    async stop(): Promise<void> {
      await consumer.stop();
      await running.catch(() => undefined);
      await consumer.close();
    },
  };
}
