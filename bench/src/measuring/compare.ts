import type { Better, Figure } from "./figure.ts";
import { type Goal, judge, type Readings, ratio } from "./goal.ts";
import { median } from "./statistics.ts";
import { turns } from "./turns.ts";

/** Does the same work as the others, once in each round. Rests between its turns. */
export interface Contestant<Metric extends string = string> {
  /**
   * Does the work, and looks whether it was all done.
   *
   * @throws Error when something is missing: a benchmark that measured nothing has failed
   */
  measure(): Promise<Readonly<Record<Metric, number>>>;
  /** Closes what it opened. */
  close(): Promise<unknown>;
}

/** Gets a contestant ready. */
export type OpenContestant<Metric extends string = string> = () => Promise<Contestant<Metric>>;

/** What is read off a contestant. */
export interface Metric {
  readonly unit: string;
  readonly better: Better;
  readonly goals?: readonly Goal[];
}

/** Several ways of doing the same work, measured in turns. */
export interface Comparison<Name extends string = string> {
  readonly title: string;
  /** By name: `pup`, `raw`, a peer, or a variant of one of them. */
  readonly contestants: Readonly<Record<string, OpenContestant<Name>>>;
  readonly metrics: Readonly<Record<Name, Metric>>;
  /** @defaultValue as many as the command asks for */
  readonly rounds?: number;
  /** Rounds that do not count, before the first one. @defaultValue `1` */
  readonly warmUp?: number;
}

/** What a comparison is run with. */
export interface CompareContext {
  readonly case: string;
  readonly rounds: number;
  readonly signal: AbortSignal;
  /** Tells people who has just been measured. */
  readonly onReading: (contestant: string, title: string, reading: Readonly<Record<string, number>>) => void;
}

/** Lets the contestants take their turns. Closes them, also when one has failed. */
export async function compare<Name extends string>(
  { title, contestants, metrics, ...given }: Comparison<Name>,
  context: CompareContext,
): Promise<readonly Figure[]> {
  const { rounds = context.rounds, warmUp = 1 } = given;
  const opened = new Map<string, Contestant<Name>>();
  const readings = new Map<string, Record<Name, number>[]>();
  try {
    for (const [name, open] of Object.entries(contestants)) {
      context.signal.throwIfAborted();
      opened.set(name, await open());
      readings.set(name, []);
    }
    for (const [turn, order] of turns([...opened], warmUp + rounds).entries()) {
      for (const [name, contestant] of order) {
        context.signal.throwIfAborted();
        const reading = await contestant.measure();
        if (turn < warmUp) continue;
        readings.get(name)?.push(reading);
        context.onReading(name, title, reading);
      }
    }
  } finally {
    // One after the other would take as long as all their graces together.
    await Promise.allSettled([...opened.values()].map((contestant) => contestant.close()));
  }

  return Object.entries<Metric>(metrics).map(([metric, { unit, better, goals = [] }]) => {
    const all: Readings = Object.fromEntries(
      [...readings].map(([name, ofName]) => [name, ofName.map((reading) => reading[metric as Name])]),
    );
    return {
      case: context.case,
      title: Object.keys(metrics).length > 1 ? `${title}: ${metric}` : title,
      unit,
      better,
      rounds,
      values: Object.fromEntries(Object.entries(all).map(([name, values]) => [name, median(values)])),
      ratios: Object.fromEntries(
        Object.entries(all).flatMap(([name, values]) =>
          name === "pup" || !all.pup ? [] : [[name, ratio(all.pup, values)]],
        ),
      ),
      goals: goals.map((goal) => judge(goal, all)),
    };
  });
}
