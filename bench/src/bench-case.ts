import type { Comparison } from "./measuring/compare.ts";

/** How much is done: what the published figures come from, what fits into three minutes, what only shows that it runs. */
export type Size = "full" | "quick" | "smoke";

/** A question that is answered by measuring. */
export interface BenchCase {
  /** As it is called on the command line. */
  readonly name: string;
  /** What is measured, in a few words. */
  readonly about: string;
  run(context: BenchContext): Promise<void>;
}

/** What a case is given. */
export interface BenchContext {
  /** Chooses by how much is to be done. */
  readonly pick: <Value>(bySize: Readonly<Record<Size, Value>>) => Value;
  /** Whether what takes very long was asked for as well. */
  readonly huge: boolean;
  /** Lets contestants take their turns, and reports what came of it. */
  readonly compare: <Metric extends string>(comparison: Comparison<Metric>) => Promise<void>;
  /** Makes an empty database, to last until the case is over. @returns its connection string */
  readonly database: () => Promise<string>;
  /** The same, with pup's tables in it. */
  readonly log: () => Promise<string>;
  /**
   * A log with so many events, ten to each order. Cases share it one after the other: they may append to it, and clear away what
   * else they make.
   */
  readonly filledLog: (events: number) => Promise<string>;
  /** Aborts when everything has to end. */
  readonly signal: AbortSignal;
}
