import type { GoalOutcome } from "./goal.ts";

/** The systems that pup is held against, as they are called everywhere. */
const peerNames = ["Emmett", "graphile-worker", "pg-boss"] as const;

/** Whether more or less of a figure is better. */
export type Better = "more" | "less";

/** What came of one thing that was measured. */
export interface Figure {
  /** The case that it belongs to: `"append"`. */
  readonly case: string;
  /** What was measured in it: `"8 connections, 1 event: throughput"`. */
  readonly title: string;
  readonly unit: string;
  readonly better: Better;
  readonly rounds: number;
  /** Median over the rounds, of each contestant by name. `pup` is one of them; `raw` is the same work by hand. */
  readonly values: Readonly<Record<string, number>>;
  /** pup's value divided by that of each other contestant: the median of what each round gave. */
  readonly ratios: Readonly<Record<string, number>>;
  readonly goals: readonly GoalOutcome[];
}

/** A figure as it is printed: one object on one line. */
export interface FigureLine {
  readonly case: string;
  readonly unit: string;
  readonly better: Better;
  readonly rounds: number;
  readonly pup: number | null;
  readonly raw: number | null;
  /** The best of the peers that were measured. */
  readonly peer: number | null;
  readonly peerName: string | null;
  readonly ratioToRaw: number | null;
  readonly ratioToPeer: number | null;
  /** Everybody else, by name. */
  readonly others: Readonly<Record<string, number>>;
  readonly goals: readonly GoalOutcome[];
}

/** The best of the peers in a figure; undefined where none was measured. */
export function bestPeer({ values, better }: Pick<Figure, "values" | "better">): string | undefined {
  const measured = peerNames.filter((name) => Number.isFinite(values[name]));
  const order = better === "more" ? -1 : 1;
  return measured.sort((a, b) => order * ((values[a] ?? 0) - (values[b] ?? 0)))[0];
}

export function toLine(figure: Figure): FigureLine {
  const { values, ratios } = figure;
  const peerName = bestPeer(figure) ?? null;
  const numberOf = (record: Readonly<Record<string, number>>, name: string | null) =>
    name === null ? null : round(record[name] ?? null);
  const others = Object.entries(values).filter(([name]) => name !== "pup" && name !== "raw" && name !== peerName);
  return {
    case: `${figure.case}: ${figure.title}`,
    unit: figure.unit,
    better: figure.better,
    rounds: figure.rounds,
    pup: numberOf(values, "pup"),
    raw: numberOf(values, "raw"),
    peer: numberOf(values, peerName),
    peerName,
    ratioToRaw: numberOf(ratios, "raw"),
    ratioToPeer: numberOf(ratios, peerName),
    others: Object.fromEntries(others.map(([name, value]) => [name, round(value)])),
    goals: figure.goals,
  };
}

/** Four digits say more than a measurement does. Null where a division by nothing came out. */
function round<Value extends number | null>(value: Value): Value {
  if (value === null || !Number.isFinite(value)) return null as Value;
  return Number(value.toPrecision(4)) as Value;
}
