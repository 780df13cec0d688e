import { setTimeout as sleep } from "node:timers/promises";
import { createPgStore, type PgStore } from "@pup/store-pg";
import { createDatabase, type PostgresServer, startPostgres } from "@pup/testing/postgres";
import postgres from "postgres";
import type { RigArguments } from "./arguments.ts";
import { prepareDatabase } from "./database/prepare-database.ts";
import { type Fault, type PlannedFault, planFaults } from "./faults/plan.ts";
import { runPlan } from "./faults/run-plan.ts";
import { createFleet, type Fleet } from "./fleet/fleet.ts";
import { startLagMeter } from "./lag-meter.ts";
import { type Account, hasTriedAll, openAccount } from "./load/account.ts";
import { createGapTimes } from "./load/gap-times.ts";
import { createMarker } from "./load/markers.ts";
import { openKysely, runWriters, writers } from "./load/run-writers.ts";
import { endForgotten } from "./load/two-phases.ts";
import { type RigOutcome, summarize } from "./outcome.ts";
import type { Stage } from "./stage.ts";
import { resolveTimings, shortTimings, type WorkerTimings } from "./timings.ts";
import { type Arrival, awaitHead } from "./verdict/await-head.ts";
import { compareLog } from "./verdict/compare-log.ts";
import { findLeftovers } from "./verdict/find-leftovers.ts";

/** How much longer than asked writers write at most, in milliseconds. */
const LONGEST_TRIAL_MS = 60_000;

/** How long a notification can be under way, in milliseconds. */
const LAST_NOTIFICATION_MS = 250;

const serverSettings = {
  fsync: true,
  max_connections: 200,
  max_prepared_transactions: 50,
  // Some transactions wait for each other in a circle on purpose.
  deadlock_timeout: "200ms",
};

/**
 * Runs the rig once, on a server of its own, and leaves nothing behind, however it ends.
 *
 * @param tell - tells people what happens
 * @throws the signal's reason when it aborts
 */
export async function runRig(
  args: RigArguments,
  tell: (text: string) => void,
  signal: AbortSignal,
): Promise<RigOutcome> {
  const server = await startPostgres({ source: "binaries", version: args.postgres, settings: serverSettings });
  try {
    const database = await createDatabase(server.url);
    return await runOnDatabase(args, { server, url: database.url }, tell, signal);
  } finally {
    await server.close();
  }
}

/** Lets writers write for so long, and on a slow machine until each kind of append has been tried: a run proves nothing of the others. */
async function stopWriters(
  stop: AbortController,
  account: Account,
  seconds: number,
  ended: AbortSignal,
): Promise<void> {
  const pause = (ms: number) => sleep(ms, undefined, { signal: ended }).catch(() => undefined);
  await pause(seconds * 1_000);
  for (let waitedMs = 0; !ended.aborted && !hasTriedAll(account) && waitedMs < LONGEST_TRIAL_MS; waitedMs += 50) {
    await pause(50);
  }
  stop.abort();
}

async function runOnDatabase(
  { command, seconds, seed, broken }: RigArguments,
  { server, url }: { server: PostgresServer; url: string },
  tell: (text: string) => void,
  signal: AbortSignal,
): Promise<RigOutcome> {
  const ending = new AbortController();
  const ended = AbortSignal.any([signal, ending.signal]);
  const shortened = command === "chaos" || broken !== null;
  const options: WorkerTimings = shortened ? shortTimings : {};
  const timings = resolveTimings(options);
  const sql = postgres(url, {
    max: 3,
    fetch_types: false,
    onnotice: () => undefined,
    connection: { application_name: "rig" },
  });
  // postgres.js does not survive that connections break in the middle of its transactions.
  const application =
    command === "torture" ? postgres(url, { max: writers, fetch_types: false, onnotice: () => undefined }) : null;
  const db = openKysely(url, writers);
  const store = createPgStore({ connection: url, applicationName: "writers", max: 2 * writers, notify: {} });
  const account = openAccount();
  const gaps = createGapTimes(account.spans);
  const notifications = { lost: false };
  const stop = new AbortController();
  const lag = startLagMeter();
  const mark = createMarker(store, account, seed);
  let fleet: Fleet | undefined;

  try {
    const version = await prepareDatabase(sql, url, broken);
    tell(`PostgreSQL ${version}, seed ${seed}${broken ? `, without its protection "${broken}"` : ""}`);
    fleet = await createFleet({
      databaseUrl: url,
      timings: options,
      broken,
      stopLimitMs: timings.shutdownTimeoutMs + 10_000,
      onGap: gaps.add,
    });
    const stage: Stage = { server, sql, fleet, timings, broken, notifications, mark, signal: ended, tell };
    const starting = fleet.seats.map((seat) => fleet?.start(seat));
    const pids = fleet.seats.map((seat) => seat.process?.pid).join(", ");
    await Promise.all(starting);
    tell(`${fleet.seats.length} workers run (pids ${pids}); ${writers} writers append for ${seconds} s`);

    const desk = { store, account, notifies: () => !notifications.lost };
    const writing = runWriters({ ...desk, sql: application, db, seed, stop: stop.signal, signal: ended });
    writing.catch((error: unknown) => ending.abort(error));
    const stopping = stopWriters(stop, account, seconds, ended);
    const report = await runPlan(
      stage,
      planFor({ command, seconds, seed, broken }, timings.heartbeatTimeoutMs),
      seconds * 1_000,
    );
    await stopping;
    await writing;
    ended.throwIfAborted();
    await endForgotten(db);

    // All faults are over, and the last transaction has ended.
    await Promise.all(fleet.seats.map((seat) => fleet?.start(seat)));
    notifications.lost = false;
    await mark();
    const arrival = await awaitHead(stage, await store.latestPosition());
    tell(`every consumer was to be at the end within ${arrival.limitMs} ms; it took ${arrival.catchUpMs} ms`);
    const unnoticed = arrival.complaints.length > 0 ? null : await arriveUnnoticed(stage, store, mark);
    await fleet.stopAll();
    tell("the workers stopped; everything is compared with the log");
    return summarize({
      args: { command, seconds, seed, broken },
      version,
      options,
      account,
      report,
      arrival,
      unnoticed,
      fleet,
      gapCloseMs: gaps.all(),
      rigLagMs: lag.longestMs,
      leftovers: await findLeftovers(sql, ended),
      comparison: await compareLog(sql, account),
    });
  } finally {
    ending.abort();
    lag.stop();
    await fleet?.close();
    await Promise.all([store.close(), application?.end({ timeout: 1 }), db.destroy().catch(() => undefined)]);
    await sql.end({ timeout: 1 });
  }
}

/** Appends what nobody is told of, and waits until it is found. */
async function arriveUnnoticed(
  stage: Stage,
  store: Pick<PgStore, "latestPosition">,
  mark: (options: { wake: boolean }) => Promise<bigint>,
): Promise<Arrival> {
  // The last notification that anybody has sent comes a moment after its commit.
  await sleep(LAST_NOTIFICATION_MS, undefined, { signal: stage.signal });
  await mark({ wake: false });
  const arrival = await awaitHead(stage, await store.latestPosition());
  stage.tell(`they had found the last event, of which nobody was told, after ${arrival.catchUpMs} ms`);
  return arrival;
}

/** Torture lets nothing happen by itself; without a protection, what it is needed for. */
function planFor(
  { command, seconds, seed, broken }: Pick<RigArguments, "command" | "seconds" | "seed" | "broken">,
  heartbeatTimeoutMs: number,
): readonly PlannedFault[] {
  const needsFault = broken === "fence" || broken === "epoch";
  const first: Fault | undefined = needsFault ? { kind: "freeze-in-batch", consumer: "all in batches" } : undefined;
  const durationMs = seconds * 1_000;
  return planFaults({ seed, durationMs: command === "chaos" ? durationMs : 0, heartbeatTimeoutMs, first });
}
