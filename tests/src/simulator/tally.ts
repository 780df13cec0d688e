/** Counts how often each kind of thing came up in a run, so that no fault is there in name only. */
export interface Tally {
  count(kind: string): void;
  /** How often, by kind. */
  readonly counts: ReadonlyMap<string, number>;
}

/** Creates a tally in which nothing has come up. */
export function createTally(): Tally {
  const counts = new Map<string, number>();
  return {
    count(kind) {
      counts.set(kind, (counts.get(kind) ?? 0) + 1);
    },
    counts,
  };
}
