import { setTimeout as sleep } from "node:timers/promises";
import type { Sql } from "postgres";
import { DemoFailure } from "../demo-failure.ts";
import type { Fleet } from "../fleet/fleet.ts";
import { type Observation, observe } from "../fleet/observe.ts";
import type { Producer } from "../fleet/producer.ts";

/** What the steps of the scenario work with. */
export interface Stage {
  readonly sql: Sql;
  readonly fleet: Fleet;
  readonly producer: Producer;
  /** Names of all consumers. */
  readonly consumers: readonly string[];
  /** Ends every wait. */
  readonly signal: AbortSignal;
  /** Tells people what has happened. */
  readonly tell: (text: string) => void;
  /** Tells people what is happening now. */
  readonly doing: (text: string) => void;
}

const lookEveryMs = 25;
const limitMs = 45_000;

/**
 * Looks until it is so, and answers with what was seen.
 *
 * @throws {@link DemoFailure} when it takes too long
 */
export async function lookUntil(
  { sql, signal }: Stage,
  expectation: string,
  isSo: (seen: Observation) => boolean,
): Promise<Observation> {
  const deadline = performance.now() + limitMs;
  for (;;) {
    const seen = await observe(sql);
    if (isSo(seen)) return seen;
    if (performance.now() > deadline) throw new DemoFailure(`Expected ${expectation} within ${limitMs / 1_000} s.`);
    await sleep(lookEveryMs, undefined, { signal });
  }
}

/** Whether every consumer runs somewhere. */
export function allRun({ consumers }: Stage, seen: Observation): boolean {
  return seen.consumers.filter(({ workerId }) => workerId !== null).length === consumers.length;
}

/** Waits until every consumer runs somewhere. */
export function untilAllRun(stage: Stage): Promise<Observation> {
  return lookUntil(stage, "every consumer to run in some worker", (seen) => allRun(stage, seen));
}
