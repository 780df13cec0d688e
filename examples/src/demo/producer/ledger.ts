/** What the producer has done since the last report. */
export interface LedgerReport {
  /** Ids of events whose append was acknowledged. */
  readonly acknowledged: readonly string[];
  /** Ids of events that were rolled back after their append. */
  readonly rolledBack: readonly string[];
  /** Appends refused because the aggregate had another version. */
  readonly conflicts: number;
}

interface Identified {
  readonly id: string;
}

/** The producer's own account of what it was told, kept to be held against the log in the end. */
export interface Ledger {
  acknowledged(events: readonly Identified[]): void;
  rolledBack(events: readonly Identified[]): void;
  conflict(): void;
  /** Hands out what was noted since the last time. */
  take(): LedgerReport;
}

/** Opens an empty ledger. */
export function createLedger(): Ledger {
  const open = () => ({ acknowledged: [] as string[], rolledBack: [] as string[], conflicts: 0 });
  let page = open();
  return {
    acknowledged: (events) => page.acknowledged.push(...events.map(({ id }) => id)),
    rolledBack: (events) => page.rolledBack.push(...events.map(({ id }) => id)),
    conflict() {
      page.conflicts += 1;
    },
    take() {
      const taken = page;
      page = open();
      return taken;
    },
  };
}
