import { createHash } from "node:crypto";
import type { SeedOutcome } from "./run-seed.ts";

/** What came of many seeds. */
export interface Summary {
  readonly seeds: number;
  readonly virtualSeconds: number;
  readonly steps: number;
  /** Seeds with a broken invariant. */
  readonly violations: number;
  readonly firstFailingSeed: number | null;
}

/** How often something came up. */
export interface Frequency {
  readonly times: number;
  /** In how many of the seeds. */
  readonly seeds: number;
}

/** Adds outcomes up. */
export function summarize(outcomes: readonly SeedOutcome[]): Summary {
  const failing = outcomes.filter(({ violation }) => violation !== null);
  return {
    seeds: outcomes.length,
    virtualSeconds: Math.round(outcomes.reduce((sum, { virtualMs }) => sum + virtualMs, 0) / 1_000),
    steps: outcomes.reduce((sum, { steps }) => sum + steps, 0),
    violations: failing.length,
    firstFailingSeed: failing[0]?.seed ?? null,
  };
}

/** How often each kind of thing came up, by name. */
export function frequencies(outcomes: readonly SeedOutcome[]): Readonly<Record<string, Frequency>> {
  const all = new Map<string, Frequency>();
  for (const { tally } of outcomes) {
    for (const [kind, count] of tally) {
      const { times, seeds } = all.get(kind) ?? { times: 0, seeds: 0 };
      all.set(kind, { times: times + count, seeds: seeds + 1 });
    }
  }
  return Object.fromEntries([...all].sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** A short name of a whole trace: the same for the same life, and for no other. */
export function fingerprint({ trace }: Pick<SeedOutcome, "trace">): string {
  return createHash("sha256").update(trace.join("\n")).digest("hex");
}
