/** What happened in a run, for people: who did what, when. */
export interface Trace {
  /** Whether anybody will read it. */
  readonly isKept: boolean;
  readonly lines: readonly string[];
  note(who: string, what: string): void;
}

/** Keeps every line. `now` is virtual time in milliseconds; lines give seconds. */
export function createTrace(now: () => number): Trace {
  const lines: string[] = [];
  return {
    isKept: true,
    lines,
    note(who, what) {
      lines.push(`${(now() / 1_000).toFixed(3).padStart(8)}  ${who.padEnd(8)} ${what}`);
    },
  };
}

/** Keeps nothing, for runs that nobody reads. */
export const noTrace: Trace = { isKept: false, lines: [], note: () => undefined };
