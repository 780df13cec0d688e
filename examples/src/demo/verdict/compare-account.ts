/** What the producer says it did: ids of events. */
export interface Account {
  /** Their append was acknowledged. */
  readonly acknowledged: ReadonlySet<string>;
  /** They were appended in a transaction that was then rolled back. */
  readonly rolledBack: ReadonlySet<string>;
}

/** Where the log and the producer's account differ. */
export interface AccountFindings {
  /** Acknowledged, and not in the log. */
  readonly missing: number;
  /** Rolled back, and yet in the log. */
  readonly undead: number;
  /** In the log, and nobody appended it. */
  readonly unaccounted: number;
}

/** Compares what the producer was told with what is in the log. */
export function compareAccount({ acknowledged, rolledBack }: Account, log: ReadonlySet<string>): AccountFindings {
  return {
    missing: count(acknowledged, (id) => !log.has(id)),
    undead: count(rolledBack, (id) => log.has(id)),
    unaccounted: count(log, (id) => !acknowledged.has(id) && !rolledBack.has(id)),
  };
}

function count(ids: ReadonlySet<string>, matches: (id: string) => boolean): number {
  return [...ids].filter(matches).length;
}
