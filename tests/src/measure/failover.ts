import { createPgStore, migrate } from "@pup/store-pg";
import { createDatabase, startPostgres } from "@pup/testing/postgres";
import postgres from "postgres";
import { machineMs } from "../rig/machine-time.ts";
import { lookUntil } from "../rig/patience.ts";
import { type Percentiles, percentiles } from "../rig/percentiles.ts";
import { findPgBouncer, startPgBouncer } from "../support/start-pgbouncer.ts";
import { createTrail } from "../support/trail.ts";
import { startWorkerProcess, type WorkerProcess } from "../support/worker-process.ts";
import type { MeasureContext, MeasureOutcome } from "./measures.ts";

/** How {@link measureFailover} measures. */
export interface FailoverOptions {
  /** Kills of each kind on a direct connection. */
  readonly rounds: number;
  /** Kills of each kind behind PgBouncer, where each takes half a minute. */
  readonly poolerRounds: number;
}

/** One kind of kill, and how long others took to go on. */
export interface FailoverFigure {
  readonly connection: "direct" | "pgbouncer";
  readonly dispatcher: "notify" | "poll";
  readonly victim: "follower" | "leader";
  readonly ms: Percentiles;
  /** What the 99th percentile must not exceed, in milliseconds. */
  readonly promisedMs: number;
  readonly ok: boolean;
}

export interface FailoverOutcome extends MeasureOutcome {
  readonly command: "measure failover";
  readonly rounds: number;
  /** Rounds behind PgBouncer; 0 where it is not installed. */
  readonly poolerRounds: number;
  readonly figures: readonly FailoverFigure[];
}

type Kind = Pick<FailoverFigure, "connection" | "dispatcher">;

const consumers = ["Analytics", "Billing", "Email", "Inventory", "Orders", "Shipping"];
const workerCount = 3;
const victims = ["follower", "leader"] as const;
/** For a fleet to share the consumers out, and for a round; in milliseconds. */
const PATIENCE_MS = 90_000;

/** heartbeatTimeoutMs + rebalanceIntervalMs + 1 s: without sessions, only silence tells. */
const POOLER_PROMISE_MS = 36_000;

function promised({ connection, dispatcher }: Kind, victim: FailoverFigure["victim"]): number {
  if (connection === "pgbouncer") return POOLER_PROMISE_MS;
  return (victim === "follower" ? 1_000 : 2_000) + (dispatcher === "poll" ? 1_000 : 0);
}

/**
 * Measures, at default options, the time from the SIGKILL of a worker until others have committed past an event that was appended
 * at that moment, with every consumer that the dead one ran.
 */
export async function measureFailover(options: FailoverOptions, context: MeasureContext): Promise<FailoverOutcome> {
  const poolerRounds = findPgBouncer() === undefined ? 0 : options.poolerRounds;
  const kinds: readonly (Kind & { readonly rounds: number })[] = [
    { connection: "direct", dispatcher: "notify", rounds: options.rounds },
    { connection: "direct", dispatcher: "poll", rounds: options.rounds },
    { connection: "pgbouncer", dispatcher: "poll", rounds: poolerRounds },
  ];
  await using server = await startPostgres({ source: "binaries", settings: { fsync: true, max_connections: 200 } });
  const figures: FailoverFigure[] = [];
  for (const { rounds, ...kind } of kinds) {
    if (rounds === 0) continue;
    const times = await measureKind(server.url, kind, rounds, context);
    for (const victim of victims) {
      const ms = percentiles(times[victim]);
      const promisedMs = promised(kind, victim);
      figures.push({ ...kind, victim, ms, promisedMs, ok: (ms.p99 ?? 0) <= promisedMs });
    }
  }
  const verdict = figures.every(({ ok }) => ok) ? "ok" : "failed";
  return { command: "measure failover", rounds: options.rounds, poolerRounds, figures, verdict };
}

async function measureKind(serverUrl: string, kind: Kind, rounds: number, { tell, signal }: MeasureContext) {
  const { url } = await createDatabase(serverUrl);
  await migrate({ connection: url });
  const sql = postgres(url, { max: 2, fetch_types: false, onnotice: () => undefined });
  await createTrail(sql);
  const store = createPgStore({ connection: url, notify: {} });
  const pooler = kind.connection === "pgbouncer" ? await startPgBouncer(findPgBouncer() ?? "", url) : null;
  const workerUrl = new URL(pooler?.url ?? url);
  if (pooler) workerUrl.searchParams.set("prepare", "false");
  let workers: WorkerProcess[] = [];
  const times: Record<FailoverFigure["victim"], number[]> = { follower: [], leader: [] };

  /** Who owns what, once everything is owned evenly by those who live. */
  const settled = async () => {
    const owned = await sql<{ consumer: string; ownerId: string | null }[]>`
      select consumer_name as consumer, owner_id as "ownerId" from consumer_checkpoints`;
    const shares = workers.map(({ workerId }) => owned.filter(({ ownerId }) => ownerId === workerId));
    return shares.every(({ length }) => length === consumers.length / workerCount) ? owned : undefined;
  };
  const patiently = async <Seen>(what: string, everyMs: number, look: () => Promise<Seen | undefined>) => {
    const seen = await lookUntil(look, { limitMs: PATIENCE_MS, everyMs, signal });
    if (seen === undefined) throw new Error(`${what} within ${PATIENCE_MS / 1_000} s.`);
    return seen;
  };

  try {
    const start = () => startWorkerProcess(workerUrl.href, kind.dispatcher, consumers);
    workers = await Promise.all(Array.from({ length: workerCount }, start));
    for (let round = 1; round <= rounds; round++) {
      for (const role of victims) {
        const owned = await patiently("Expected all workers to run as many consumers", 20, settled);
        const victim = await patiently(`Expected a ${role}`, 20, async () =>
          workers.find(({ leads }) => leads === (role === "leader")),
        );
        const orphans = owned.filter(({ ownerId }) => ownerId === victim.workerId).map(({ consumer }) => consumer);
        workers = workers.filter((worker) => worker !== victim);

        const killedAt = machineMs();
        await victim.kill();
        await store.append([{ aggregateType: "Order", aggregateId: `${round}`, type: "Placed", payload: {} }]);
        const position = await store.latestPosition();
        await patiently("Expected others to go on", 5, async () => {
          const checkpoints = await store.readCheckpoints(orphans);
          return checkpoints.every((checkpoint) => checkpoint.position >= position) ? true : undefined;
        });
        const tookMs = machineMs() - killedAt;
        times[role].push(tookMs);
        tell(`${kind.connection}, ${kind.dispatcher}, ${role}, round ${round}: ${Math.round(tookMs)} ms`);
        workers.push(await start());
      }
    }
    return times;
  } finally {
    await Promise.all(workers.map((worker) => worker.kill()));
    await Promise.all([store.close(), sql.end(), pooler?.[Symbol.asyncDispose]()]);
  }
}
