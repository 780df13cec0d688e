import { setTimeout as sleep } from "node:timers/promises";
import { migrate } from "@pup/store-pg";
import { startPostgres } from "@pup/testing/postgres";
import postgres, { type Sql } from "postgres";
import { type LabWorker, startLabWorker } from "../support/lab-worker.ts";
import { createTrail } from "../support/trail.ts";
import type { MeasureContext, MeasureOutcome } from "./measures.ts";

/** How {@link measureFleet} measures. */
export interface FleetMeasureOptions {
  /** Worker processes. */
  readonly workers: number;
  /** Consumers in all; every worker has the code of each. */
  readonly consumers: number;
}

/** What came of it. Statements are those of the workers, their dispatchers' included, per second. */
export interface FleetReport extends MeasureOutcome {
  readonly command: "measure fleet";
  readonly workers: number;
  readonly consumers: number;
  /** From the start of the first worker to the readiness of the last, in milliseconds. Says something of the machine. */
  readonly startedInMs: number;
  /** From the readiness of the last worker until every consumer had an owner, in milliseconds. */
  readonly allOwnedAfterMs: number;
  /** Most consumers of one worker beyond the least of another. */
  readonly unevenness: number;
  /** Most sessions of one worker; promised are pool + 1. */
  readonly sessionsPerWorker: number;
  readonly idleFollowerStatements: { readonly mean: number; readonly most: number; readonly promised: number };
  readonly idleLeaderStatements: { readonly mean: number; readonly promised: number };
  readonly deadlocks: number;
}

const POOL = 2;
const START_AT_ONCE = 4;
const OWNED_WITHIN_MS = 10_000;
/** How long statements are counted, in milliseconds. */
const IDLE_MS = 20_000;

/** What the poll dispatcher asks at its default interval, per second. */
const DISPATCHER_STATEMENTS = 1_000 / 200;
/** What an idle worker may ask besides, and its leader beyond that at the default `livenessIntervalMs`, per second. */
const WORKER_STATEMENTS = 3;
const LEADER_STATEMENTS = 1_000 / 250;

/** Starts a fleet on a server of its own and measures it at rest. */
export async function measureFleet(
  { workers: count, consumers: consumerCount }: FleetMeasureOptions,
  { tell }: MeasureContext,
): Promise<FleetReport> {
  const server = await startPostgres({ source: "binaries", settings: { max_connections: 300 } });
  const sql = postgres(server.url, { max: 1, onnotice: () => undefined, fetch_types: false });
  const workers: LabWorker[] = [];
  try {
    await migrate({ connection: server.url });
    await createTrail(sql);
    const consumers = Array.from({ length: consumerCount }, (_, index) => `consumer-${String(index).padStart(5, "0")}`);
    const start = async () => {
      while (workers.length + starting < count) {
        starting += 1;
        const worker = await startLabWorker({ url: server.url, consumers, max: POOL });
        starting -= 1;
        workers.push(worker);
      }
    };
    let starting = 0;
    const beganAt = performance.now();
    await Promise.all(Array.from({ length: START_AT_ONCE }, start));

    const startedAt = performance.now();
    const startedInMs = Math.round(startedAt - beganAt);
    const shares = await untilAllOwned(sql, count, consumerCount);
    const allOwnedAfterMs = Math.round(performance.now() - startedAt);
    const sessionsPerWorker = await mostSessions(sql);
    tell(
      `${count} workers started in ${startedInMs} ms; all consumers owned after ${allOwnedAfterMs} ms; counting statements`,
    );
    const rates = await statementRates(workers, IDLE_MS);
    const followers = rates.filter(({ leads }) => !leads).map(({ rate }) => rate);
    const leaders = rates.filter(({ leads }) => leads).map(({ rate }) => rate);
    const deadlocks = server.log().match(/deadlock detected/g)?.length ?? 0;

    const follower = {
      mean: mean(followers),
      most: Math.max(...followers),
      promised: DISPATCHER_STATEMENTS + WORKER_STATEMENTS,
    };
    const leader = { mean: mean(leaders), promised: follower.promised + LEADER_STATEMENTS };
    const unevenness = Math.max(...shares) - Math.min(...shares);
    return {
      command: "measure fleet",
      workers: count,
      consumers: consumerCount,
      startedInMs,
      allOwnedAfterMs,
      unevenness,
      sessionsPerWorker,
      idleFollowerStatements: follower,
      idleLeaderStatements: leader,
      deadlocks,
      verdict:
        allOwnedAfterMs <= OWNED_WITHIN_MS &&
        unevenness <= 1 &&
        sessionsPerWorker <= POOL + 1 &&
        leaders.length === 1 &&
        follower.most <= follower.promised &&
        leader.mean <= leader.promised &&
        deadlocks === 0
          ? "ok"
          : "failed",
    };
  } finally {
    await Promise.all(workers.map((worker) => worker.stop()));
    await sql.end();
    await server.close();
  }
}

/** Waits until each worker owns its share, for a minute at most. @returns how many each has */
async function untilAllOwned(sql: Sql, workers: number, consumers: number): Promise<readonly number[]> {
  const giveUpAt = performance.now() + 60_000;
  for (;;) {
    const rows = await sql<{ owned: number }[]>`
      select count(*)::int as owned from consumer_checkpoints join consumer_assignments using (consumer_name)
      where owner_id = worker_id group by owner_id`;
    const shares = rows.map(({ owned }) => owned);
    const isDone =
      shares.length === Math.min(workers, consumers) && shares.reduce((sum, owned) => sum + owned, 0) === consumers;
    if (isDone || performance.now() > giveUpAt) return shares;
    await sleep(50);
  }
}

async function mostSessions(sql: Sql): Promise<number> {
  const [row] = await sql<{ most: number }[]>`
    select max(sessions)::int as most from (
      select count(*) as sessions from pg_stat_activity where application_name like 'pup lab %' group by application_name
    ) as workers`;
  return row?.most ?? Number.NaN;
}

async function statementRates(workers: readonly LabWorker[], idleMs: number) {
  // The safety poll grows rare only bit by bit.
  await sleep(8_000);
  const reports = async () =>
    Promise.all(
      workers.map(async (worker) => ({ statements: (await worker.report()).statements, at: performance.now() })),
    );
  const before = await reports();
  await sleep(idleMs);
  const after = await reports();
  return workers.map(({ leads }, index) => {
    const [first, last] = [before[index], after[index]];
    const rate = first && last ? ((last.statements - first.statements) * 1_000) / (last.at - first.at) : Number.NaN;
    return { leads, rate: Math.round(rate * 100) / 100 };
  });
}

function mean(values: readonly number[]): number {
  return Math.round((values.reduce((sum, value) => sum + value, 0) / values.length) * 100) / 100;
}
