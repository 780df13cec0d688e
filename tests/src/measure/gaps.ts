import { setTimeout as sleep } from "node:timers/promises";
import { createPgStore, type PgStore } from "@pup/store-pg";
import { createDatabase, startPostgres } from "@pup/testing/postgres";
import postgres, { type Sql } from "postgres";
import { markedTypes, transactional } from "../rig/consumers.ts";
import { prepareDatabase } from "../rig/database/prepare-database.ts";
import { startWorkerProcess } from "../rig/fleet/worker-process.ts";
import { machineMs } from "../rig/machine-time.ts";
import { lookUntil } from "../rig/patience.ts";
import { type Percentiles, percentiles } from "../rig/percentiles.ts";
import type { ClosedGap } from "../rig/worker/settings.ts";
import type { MeasureContext, MeasureOutcome } from "./measures.ts";

/** How {@link measureGaps} measures. */
export interface GapsOptions {
  /** Gaps of each kind, for each number of workers. */
  readonly rounds: number;
}

/** How a number of workers gets past gaps. */
export interface GapsFigure {
  readonly workers: number;
  /** The append was rolled back before anybody had read past it: from that reading on. */
  readonly deadMs: Percentiles;
  /** The append was open for a while: from its end on. */
  readonly heldMs: Percentiles;
  /** From the commit behind 500 appends that were rolled back until every consumer had handled it, in milliseconds. */
  readonly afterRollbacksMs: number;
  readonly ok: boolean;
}

export interface GapsOutcome extends MeasureOutcome {
  readonly command: "measure gaps";
  readonly rounds: number;
  readonly promised: typeof promised;
  readonly figures: readonly GapsFigure[];
}

const promised = { gapMs: 50, afterRollbacksMs: 1_000 } as const;
const workerCounts = [1, 4, 8];
const rollbacks = 500;
const PATIENCE_MS = 30_000;

class RollBack extends Error {}

/**
 * Measures how soon worker processes, at default options, know that a position will never be filled: in each of them, from the
 * later of two moments, when it read past the position and when the append that had drawn it ended.
 */
export async function measureGaps({ rounds }: GapsOptions, context: MeasureContext): Promise<GapsOutcome> {
  await using server = await startPostgres({ source: "binaries", settings: { fsync: true, max_connections: 200 } });
  const figures: GapsFigure[] = [];
  for (const workers of workerCounts) figures.push(await measureWith(server.url, workers, rounds, context));
  const verdict = figures.every(({ ok }) => ok) ? "ok" : "failed";
  return { command: "measure gaps", rounds, promised, figures, verdict };
}

async function measureWith(
  serverUrl: string,
  count: number,
  rounds: number,
  { tell, signal }: MeasureContext,
): Promise<GapsFigure> {
  const { url } = await createDatabase(serverUrl);
  const sql = postgres(url, { max: 4, fetch_types: false, onnotice: () => undefined });
  await prepareDatabase(sql, url, null);
  const store = createPgStore({ connection: url, notify: {} });
  let gaps: ClosedGap[] = [];
  const workers = Array.from({ length: count }, (_, index) =>
    startWorkerProcess({
      settings: { name: `worker ${index + 1}`, databaseUrl: url, dispatcher: "notify", timings: {}, broken: null },
      clockSkewMs: 0,
      onReport: (report) => report.kind === "gap" && gaps.push(report.gap),
      onCrash: (reason) => tell(reason),
    }),
  );
  const patiently = async (what: string, everyMs: number, look: () => Promise<boolean>) => {
    const seen = async () => ((await look()) ? true : undefined);
    if (!(await lookUntil(seen, { limitMs: PATIENCE_MS, everyMs, signal }))) throw new Error(what);
  };
  const allReach = (position: bigint) =>
    patiently("Expected every consumer to get on.", 5, async () => {
      const checkpoints = await store.readCheckpoints(transactional);
      return checkpoints.length === transactional.length && checkpoints.every((at) => at.position >= position);
    });

  try {
    await Promise.all(workers.map(({ started }) => started));
    await allReach(await mark(store));

    const times: { dead: number[]; held: number[] } = { dead: [], held: [] };
    for (let round = 1; round <= rounds; round++) {
      for (const kind of ["dead", "held"] as const) {
        gaps = [];
        const endedAt = await (kind === "dead" ? leaveDeadGap(sql, store) : leaveHeldGap(sql, store));
        await patiently("Expected every worker to see the gap close.", 5, async () => gaps.length >= count);
        for (const { seenAt, closedAt } of gaps) times[kind].push(Math.max(0, closedAt - Math.max(seenAt, endedAt)));
      }
    }

    for (let i = 0; i < rollbacks; i++) await rollBack(sql, store, `rolled-back-${i}`);
    const committedAt = machineMs();
    await allReach(await mark(store));
    const afterRollbacksMs = Math.round(machineMs() - committedAt);

    const deadMs = percentiles(times.dead);
    const heldMs = percentiles(times.held);
    tell(
      `${count} workers: dead p99 ${deadMs.p99} ms, held p99 ${heldMs.p99} ms, after rollbacks ${afterRollbacksMs} ms`,
    );
    const ok =
      (deadMs.p99 ?? 0) <= promised.gapMs &&
      (heldMs.p99 ?? 0) <= promised.gapMs &&
      afterRollbacksMs <= promised.afterRollbacksMs;
    return { workers: count, deadMs, heldMs, afterRollbacksMs, ok };
  } finally {
    await Promise.all(workers.map((worker) => worker.kill()));
    await Promise.all([store.close(), sql.end()]);
  }
}

const order = (id: string) => ({ aggregateType: "Order", aggregateId: id, type: "Placed", payload: {} });

/** Appends in every scope. Answers with the position of the first. */
async function mark(store: PgStore): Promise<bigint> {
  let first: bigint | undefined;
  for (const aggregateType of markedTypes) {
    const marker = { aggregateType, aggregateId: "marker", type: "Marker", payload: {} };
    const { events } = await store.append([marker]);
    first ??= events[0]?.globalPosition;
  }
  return first as bigint;
}

async function rollBack(sql: Sql, store: PgStore, id: string, whileOpen = async () => {}): Promise<void> {
  const rolledBack = sql.begin(async (tx) => {
    await store.append([order(id)], { tx, wake: false });
    await whileOpen();
    throw new RollBack();
  });
  await rolledBack.catch((error: unknown) => {
    if (!(error instanceof RollBack)) throw error;
  });
}

/** A gap that is dead before anybody sees it. Answers with when its append had ended. */
async function leaveDeadGap(sql: Sql, store: PgStore): Promise<number> {
  await rollBack(sql, store, "dead");
  const endedAt = machineMs();
  await store.append([order("behind")]);
  return endedAt;
}

/** A gap whose append goes on for a while after others have seen it. Answers with when it had ended. */
async function leaveHeldGap(sql: Sql, store: PgStore): Promise<number> {
  await rollBack(sql, store, "held", async () => {
    await store.append([order("behind")]);
    // Some looks at the hole, and any moment between two of them.
    await sleep(150 + Math.random() * 100);
  });
  return machineMs();
}
