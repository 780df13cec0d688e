import type { RigArguments } from "./arguments.ts";
import type { FaultReport } from "./faults/run-plan.ts";
import type { Fleet } from "./fleet/fleet.ts";
import type { Account } from "./load/account.ts";
import { type Percentiles, percentiles } from "./percentiles.ts";
import type { WorkerTimings } from "./timings.ts";
import type { Arrival } from "./verdict/await-head.ts";
import type { Comparison } from "./verdict/compare-log.ts";

/** What a run has shown: printed as it is, in one line. */
export interface RigOutcome {
  readonly command: RigArguments["command"];
  readonly seed: number;
  readonly seconds: number;
  /** Major version of the server. */
  readonly postgres: number;
  /** The protection that was switched off; null when all were on. */
  readonly break: RigArguments["broken"];
  /** Events in the log. */
  readonly committed: number;
  /** Effects through the transaction, of all consumers together. */
  readonly delivered: number;
  readonly lost: number;
  readonly duplicates: number;
  readonly outOfOrder: number;
  /** Faults that happened, by kind. */
  readonly faults: FaultReport["faults"];
  /** Faults that were planned and did not happen, because nobody was in the part. */
  readonly missedFaults: number;
  readonly failoverMs: Percentiles;
  readonly gapCloseMs: Percentiles;
  /** From the end of all faults until every consumer was at the end of the log, and what was promised, in milliseconds. */
  readonly catchUpMs: number;
  readonly catchUpLimitMs: number;
  /** Until every consumer had found an event of which nobody was told, in milliseconds; null when it did not come to that. */
  readonly unnoticedMs: number | null;
  /** Effects of the consumer without a transaction. */
  readonly atLeastOnce: Comparison["atLeastOnce"];
  /** Events whose append was acknowledged, rolled back, or of which no answer came. */
  readonly acknowledged: number;
  readonly rolledBack: number;
  readonly unknown: number;
  /** What the writers did, by what it was. */
  readonly appends: Readonly<Record<string, number>>;
  /** Worker processes that were started. */
  readonly workers: number;
  readonly crashes: number;
  /** How often workers reported what they survive: a broken line, having been struck off, having been taken over from. */
  readonly troubles: Fleet["troubles"];
  /** How late the rig's own timers were at most, in milliseconds: how much to believe the times above. */
  readonly rigLagMs: number;
  /** Worker options that are not the defaults. */
  readonly options: WorkerTimings;
  /** What was wrong, for people; empty when nothing was. */
  readonly reasons: readonly string[];
  readonly verdict: "ok" | "failed";
}

/** What is known when a run is over. */
export interface RunFacts {
  readonly args: Pick<RigArguments, "command" | "seconds" | "seed" | "broken">;
  readonly version: number;
  readonly options: WorkerTimings;
  readonly account: Account;
  readonly report: FaultReport;
  /** At the end of the log, once all faults were over. */
  readonly arrival: Arrival;
  /** At an event of which nobody was told; null when they had not even come to the end. */
  readonly unnoticed: Arrival | null;
  readonly fleet: Pick<Fleet, "crashes" | "failures" | "troubles" | "started">;
  readonly gapCloseMs: readonly number[];
  readonly rigLagMs: number;
  readonly leftovers: readonly string[];
  readonly comparison: Comparison;
}

/** Sums a run up, and judges it. */
export function summarize(facts: RunFacts): RigOutcome {
  const { args, account, report, arrival, fleet, comparison } = facts;
  const { committed, delivered, lost, duplicates, outOfOrder, atLeastOnce } = comparison;
  const reasons = findReasons(facts);
  return {
    command: args.command,
    seed: args.seed,
    seconds: args.seconds,
    postgres: facts.version,
    break: args.broken,
    committed,
    delivered,
    lost,
    duplicates,
    outOfOrder,
    faults: report.faults,
    missedFaults: report.missed,
    failoverMs: percentiles(report.failoverMs),
    gapCloseMs: percentiles(facts.gapCloseMs),
    catchUpMs: arrival.catchUpMs,
    catchUpLimitMs: arrival.limitMs,
    unnoticedMs: facts.unnoticed?.catchUpMs ?? null,
    atLeastOnce,
    acknowledged: account.acknowledged.size,
    rolledBack: account.rolledBack.size,
    unknown: account.unknown.size,
    appends: Object.fromEntries([...account.counts].sort()),
    workers: fleet.started,
    crashes: fleet.crashes.length,
    troubles: fleet.troubles,
    rigLagMs: facts.rigLagMs,
    options: facts.options,
    reasons,
    verdict: reasons.length === 0 ? "ok" : "failed",
  };
}

/** The longest text of a reason. */
const REASON_LENGTH = 2_000;

function findReasons({ account, arrival, unnoticed, fleet, leftovers, comparison }: RunFacts): string[] {
  const { committed, differing, atLeastOnce, wrongMoves } = comparison;
  const found = [
    ...differing.map(
      ({ consumer, ...trail }) =>
        `"${consumer}": ${trail.lost} lost, ${trail.duplicates} doubled, ${trail.outOfOrder} out of order, of ${trail.committed} (${trail.delivered} delivered)`,
    ),
    ...counted(atLeastOnce.lost, "events never reached the consumer without a transaction"),
    ...counted(
      comparison.acknowledgedButMissing,
      "events were acknowledged and are not in the log where they should be",
    ),
    ...counted(comparison.rolledBackButThere, "events were rolled back and are in the log"),
    ...counted(comparison.unaccounted, "events are in the log and nobody has appended them"),
    ...counted(comparison.versionsOutOfOrder, "events have a version that is not their turn"),
    ...Object.entries(wrongMoves).map(([what, count]) => `${count} wrong moves of checkpoints: ${what}`),
    ...account.complaints.slice(0, 5),
    ...[arrival, unnoticed].flatMap((arrived) =>
      (arrived?.complaints ?? []).map((complaint) => `after ${arrived?.limitMs} ms, ${complaint}`),
    ),
    ...fleet.crashes,
    ...fleet.failures,
    ...leftovers.map((leftover) => `left behind: ${leftover}`),
    ...(committed === 0 ? ["the log is empty: nothing was shown"] : []),
  ];
  return found.map((reason) => reason.slice(0, REASON_LENGTH));
}

function counted(count: number, what: string): string[] {
  return count === 0 ? [] : [`${count} ${what}`];
}
