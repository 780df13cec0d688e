import { randomUUID } from "node:crypto";
import type { PgStoreOptions } from "@pup/store-pg";
import type { Sql } from "postgres";
import type { BenchContext } from "../../bench-case.ts";
import type { OpenContestant } from "../../measuring/compare.ts";
import { openEmmett } from "../../systems/emmett/emmett.ts";
import { openGraphileQueue } from "../../systems/graphile-worker/graphile-worker.ts";
import { openBoss } from "../../systems/pg-boss/pg-boss.ts";
import { openStore, toNewEvents } from "../../systems/pup/append.ts";
import { type CallOutcome, call } from "../../workload/call.ts";
import { check } from "../../workload/check.ts";
import { type Client, connect } from "../../workload/connect.ts";
import { createOrders, type OrderAppend } from "../../workload/orders.ts";

/** What is read off: events per second, and milliseconds that 99 % of the appends did not exceed. */
export type AppendMetric = "throughput" | "p99";

/** How much is appended at a time, and by how many. */
export interface AppendLoad {
  readonly connections: number;
  /** @defaultValue as many as there are connections */
  readonly callers?: number;
  readonly eventsPerAppend: number;
}

/** How long one turn takes, in milliseconds. */
const TURN_MS = { full: 1_500, quick: 300, smoke: 30 } as const;

/** What appends for as long as a turn takes. */
interface Appender {
  readonly append: (order: OrderAppend) => PromiseLike<unknown>;
  readonly count: () => Promise<number>;
  readonly close: () => Promise<unknown>;
}

/** Ways to append, each to a database of its own. */
export function appendContestants(context: BenchContext, load: AppendLoad) {
  const { connections, callers = connections, eventsPerAppend } = load;

  function contestant(open: () => Promise<Appender>): OpenContestant<AppendMetric> {
    return async () => {
      const { append, count, close } = await open();
      return {
        async measure() {
          const turn = randomUUID().slice(0, 8);
          const before = await count();
          const options = { callers, forMs: context.pick(TURN_MS), signal: context.signal };
          const { calls, callsPerSecond, p99Ms }: CallOutcome = await call(options, (caller) => {
            const next = createOrders(`${turn}-${caller}`, eventsPerAppend);
            return () => append(next());
          });
          check("events in the log", (await count()) - before, calls * eventsPerAppend);
          return { throughput: callsPerSecond * eventsPerAppend, p99: p99Ms };
        },
        close,
      };
    };
  }

  /** Through pup's store. */
  const pup = (options: Partial<PgStoreOptions> = {}) =>
    contestant(async () => {
      const url = await context.log();
      const store = openStore(url, connections, options);
      const sql = connect(url, 1);
      return {
        append: (order) => store.append(toNewEvents(order)),
        count: () => countEvents(sql),
        close: () => Promise.all([store.close(), sql.end()]),
      };
    });

  /** Through pup's store, in transactions of the application's own. */
  const pupInCallersTransaction = ({ wake }: { wake: boolean }) =>
    contestant(async () => {
      const url = await context.log();
      const store = openStore(url, 1, { notify: {} });
      const sql = connect(url, connections);
      return {
        append: (order) => sql.begin((tx) => store.append(toNewEvents(order), { tx, wake })),
        count: () => countEvents(sql),
        close: () => Promise.all([store.close(), sql.end()]),
      };
    });

  /** By hand, on pup's tables. */
  const byHand = (append: (sql: Client, order: OrderAppend) => PromiseLike<unknown>) =>
    contestant(async () => {
      const sql = connect(await context.log(), connections);
      return { append: (order) => append(sql, order), count: () => countEvents(sql), close: () => sql.end() };
    });

  const emmett = contestant(async () => {
    const store = await openEmmett(await context.database(), connections);
    return { append: store.append, count: store.countEvents, close: store.close };
  });

  const graphile = contestant(async () => {
    const queue = await openGraphileQueue(await context.database(), connections);
    return { append: addEach(queue.add), count: queue.countJobs, close: queue.close };
  });

  const boss = contestant(async () => {
    const queue = await openBoss(await context.database(), connections);
    return { append: addEach(queue.add), count: queue.countJobs, close: queue.close };
  });

  return { pup, pupInCallersTransaction, byHand, emmett, graphile, boss };
}

/** A queue takes its jobs one by one. */
function addEach(add: (payload: OrderAppend["payloads"][number]) => Promise<void>) {
  return ({ payloads }: OrderAppend) => Promise.all(payloads.map(add));
}

async function countEvents(sql: Sql): Promise<number> {
  const [row] = await sql<{ count: number }[]>`SELECT count(*)::int AS count FROM events`;
  return row?.count ?? 0;
}
