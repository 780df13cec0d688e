import { Logger, makeWorkerUtils, run, type Task } from "graphile-worker";
import pg from "pg";
import { type OrderPayload, orderPayloadSql } from "../../workload/orders.ts";

const TASK = "order-event";
const silent = new Logger(() => () => undefined);

/** Jobs of graphile-worker, with a pool of its own. */
export async function openGraphileQueue(url: string, connections: number) {
  const pool = new pg.Pool({ connectionString: url, max: connections });
  pool.on("error", () => undefined); // A query that fails says so itself.
  pool.on("connect", (client) => client.on("error", () => undefined));
  const utils = await makeWorkerUtils({ pgPool: pool, logger: silent });
  await utils.migrate();
  return {
    async add(payload: OrderPayload): Promise<void> {
      await utils.addJob(TASK, { ...payload });
    },
    /** Adds many at once. */
    async fill(jobs: number): Promise<void> {
      await pool.query(`
        SELECT count(*) FROM graphile_worker.add_jobs(ARRAY(
          SELECT json_populate_record(
            null::graphile_worker.job_spec, json_build_object('identifier', '${TASK}', 'payload', ${orderPayloadSql})
          ) FROM generate_series(1, ${jobs}) AS number
        ))`);
      await pool.query("VACUUM (ANALYZE) graphile_worker._private_jobs");
    },
    async countJobs(): Promise<number> {
      const { rows } = await pool.query("SELECT count(*)::int AS count FROM graphile_worker._private_jobs");
      return rows[0].count;
    },
    async close(): Promise<void> {
      await utils.release();
      await pool.end();
    },
  };
}

export interface GraphileRunner {
  readonly url: string;
  /** Jobs at once. */
  readonly concurrency: number;
  /**
   * `"tuned"`: takes 500 jobs at a time, and completes together what ends together. That suits a backlog.
   *
   * @defaultValue job by job, which is quicker when they come one by one
   */
  readonly queue?: "tuned";
  readonly handle: Task;
}

/** Runs jobs until it is stopped. */
export async function startGraphileRunner({ url, concurrency, queue, handle }: GraphileRunner) {
  return run({
    logger: silent,
    noHandleSignals: true,
    taskList: { [TASK]: handle },
    preset: {
      worker: {
        connectionString: url,
        concurrentJobs: concurrency,
        maxPoolSize: Math.max(10, concurrency + 2),
        ...(queue === "tuned" && { localQueue: { size: 500 }, completeJobBatchDelay: 0, failJobBatchDelay: 0 }),
      },
    },
  });
}
