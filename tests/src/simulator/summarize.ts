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
