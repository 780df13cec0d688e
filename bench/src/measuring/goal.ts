import { median } from "./statistics.ts";

/** What a figure is to reach. */
export interface Goal {
  /** Whose value counts. @defaultValue `"pup"` */
  readonly of?: string;
  /** Whose value it is divided by; without, it counts as it is. */
  readonly relativeTo?: string;
  readonly atLeast?: number;
  readonly atMost?: number;
}

/** A goal, and whether it was reached. */
export interface GoalOutcome {
  /** For people: `"≥ 0.95 × raw"`. */
  readonly goal: string;
  readonly actual: number;
  readonly reached: boolean;
}

/** What each contestant had in each round. */
export type Readings = Readonly<Record<string, readonly number[]>>;

/**
 * Holds what was measured against a goal. A ratio is taken within each round, where both had the same machine, and then its median.
 *
 * @throws Error when one of the two was not measured
 */
export function judge(goal: Goal, readings: Readings): GoalOutcome {
  const { of = "pup", relativeTo, atLeast, atMost } = goal;
  const actual =
    relativeTo === undefined
      ? median(readingsOf(readings, of))
      : ratio(readingsOf(readings, of), readingsOf(readings, relativeTo));
  return {
    goal: describeGoal(goal),
    actual: Number(actual.toPrecision(4)),
    reached: actual >= (atLeast ?? Number.NEGATIVE_INFINITY) && actual <= (atMost ?? Number.POSITIVE_INFINITY),
  };
}

/** Median of what one has divided by what the other has, round by round. Nothing divided by nothing is as much. */
export function ratio(values: readonly number[], others: readonly number[]): number {
  return median(values.map((value, round) => (value === others[round] ? 1 : value / (others[round] ?? Number.NaN))));
}

function describeGoal({ of = "pup", relativeTo, atLeast, atMost }: Goal): string {
  const bound = atLeast === undefined ? `≤ ${atMost}` : `≥ ${atLeast}`;
  const subject = of === "pup" ? "" : `${of}: `;
  return `${subject}${bound}${relativeTo === undefined ? "" : ` × ${relativeTo}`}`;
}

function readingsOf(readings: Readings, name: string): readonly number[] {
  const found = readings[name];
  if (!found || found.length === 0) throw new Error(`Expected "${name}" to be measured, since a goal asks for it.`);
  return found;
}
