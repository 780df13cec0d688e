import { setTimeout as sleep } from "node:timers/promises";
import type { Stage } from "../stage.ts";
import { inflict } from "./inflict.ts";
import { kindOf, type PlannedFault } from "./plan.ts";

/** What happened. */
export interface FaultReport {
  /** How often what happened, by kind. */
  readonly faults: Readonly<Record<string, number>>;
  /** What was planned and did not happen, because nobody was in the part. */
  readonly missed: number;
  /** From each death until others had gone on with everything, in milliseconds. */
  readonly failoverMs: readonly number[];
}

/**
 * Lets a plan happen. A fault waits for the one before it to be over (a process in the place of a killed one, a frozen one let go):
 * each finds a fleet that has something to lose. What would begin after `untilMs` is left out: nobody appends any more then.
 */
export async function runPlan(stage: Stage, plan: readonly PlannedFault[], untilMs: number): Promise<FaultReport> {
  const { signal } = stage;
  const startedAt = performance.now();
  const counts: Record<string, number> = {};
  const failovers: Promise<number | undefined>[] = [];
  let missed = 0;

  for (const fault of plan) {
    const waitMs = startedAt + fault.atMs - performance.now();
    if (waitMs > 0) await sleep(waitMs, undefined, { signal }).catch(() => undefined);
    signal.throwIfAborted();
    if (performance.now() - startedAt > untilMs) break;
    // A server that has just come back refuses or breaks connections: what could not be done is not counted.
    const outcome = await inflict(stage, fault).catch((error: unknown) => {
      stage.tell(`${kindOf(fault)} could not be done: ${error instanceof Error ? error.message : error}`);
      return null;
    });
    const kind = kindOf(fault);
    if (outcome) counts[kind] = (counts[kind] ?? 0) + 1;
    else missed += 1;
    if (outcome?.failoverMs) failovers.push(outcome.failoverMs);
  }
  const failoverMs = (await Promise.all(failovers)).filter((ms) => ms !== undefined);
  return { faults: counts, missed, failoverMs };
}
