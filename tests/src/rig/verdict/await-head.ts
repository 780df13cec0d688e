import { startLagMeter } from "../lag-meter.ts";
import { machineMs } from "../machine-time.ts";
import { lookUntil } from "../patience.ts";
import { readOwnership, type Stage } from "../stage.ts";

/** What a worker needs beyond its timeouts to go on with everything, in milliseconds. */
const SLACK_MS = 5_000;
/** The work itself, in milliseconds for each event that a consumer is behind: a small machine does more. */
const MS_PER_EVENT = 0.25;

/** How the consumers came to the end of the log. */
export interface Arrival {
  /** Milliseconds until all were there and shared out evenly. */
  readonly catchUpMs: number;
  /** What was promised, in milliseconds. */
  readonly limitMs: number;
  /** Consumers that were not there in time, with how far they were behind; and whether they were shared out unevenly. */
  readonly complaints: readonly string[];
}

/**
 * Waits until every consumer has committed up to a position, and live workers share them out evenly. Promised is that it takes no
 * longer than silence of a dead worker, a look of the leader, some slack, and the work that has piled up. By how much this process is
 * late meanwhile, everybody else may be late too: a busy machine is no fault of theirs.
 */
export async function awaitHead(stage: Stage, position: bigint): Promise<Arrival> {
  const { sql, timings, signal } = stage;
  const startedAt = machineMs();
  const behindAtFirst = (await readOwnership(sql)).map((owned) => Number(position - owned.position));
  const backlog = behindAtFirst.reduce((sum, behind) => sum + Math.max(0, behind), 0);
  const promisedMs = timings.heartbeatTimeoutMs + timings.rebalanceIntervalMs + SLACK_MS + backlog * MS_PER_EVENT;
  const lag = startLagMeter();
  const limitMs = () => promisedMs + lag.totalMs;

  let complaints: readonly string[] = [];
  await lookUntil(
    async () => {
      complaints = await complain(stage, position);
      return complaints.length === 0 ? true : undefined;
    },
    { limitMs, everyMs: 25, signal },
  );
  lag.stop();
  return { catchUpMs: Math.round(machineMs() - startedAt), limitMs: Math.round(limitMs()), complaints };
}

async function complain({ sql, fleet }: Stage, position: bigint): Promise<string[]> {
  const owned = await readOwnership(sql);
  const behind = owned
    .filter((consumer) => consumer.position < position)
    .map((consumer) => `"${consumer.consumer}" stands at ${consumer.position} of ${position}`);
  const seats = fleet.seats.filter(({ process }) => process?.state === "running");
  const shares = seats.map((seat) => owned.filter(({ ownerId }) => ownerId === seat.process?.workerId).length);
  const unowned = owned.length - shares.reduce((sum, share) => sum + share, 0);
  if (unowned > 0) behind.push(`${unowned} consumers have no live owner`);
  if (Math.max(...shares) - Math.min(...shares) > 1)
    behind.push(`consumers are shared out unevenly: ${shares.join(", ")}`);
  return behind;
}
