import { machineMs } from "../machine-time.ts";
import type { ClosedGap } from "../worker/settings.ts";
import type { TransactionSpans } from "./transaction-spans.ts";

/** Collects how long gaps stayed open that could have been closed. */
export interface GapTimes {
  add(gap: ClosedGap): void;
  /** Everything so far, in milliseconds. */
  all(): readonly number[];
}

/** A writer may learn of the end of its transaction later than a worker tells of the gap, in milliseconds. */
const NEWS_MS = 1_000;

/**
 * Measures each gap in each process from the later of two moments to the moment in which the process knew it to be closed:
 * - the process first read a position behind the gap;
 * - the last transaction ended that had appended before and was open then, so that it might have filled the gap.
 */
export function createGapTimes(spans: TransactionSpans): GapTimes {
  const times: number[] = [];
  let pending: ClosedGap[] = [];

  function measure(before: number): void {
    const due = pending.filter(({ closedAt }) => closedAt < before);
    pending = pending.filter(({ closedAt }) => closedAt >= before);
    for (const gap of due) times.push(gap.closedAt - spans.endOfOlder(gap));
  }

  return {
    add(gap) {
      pending.push(gap);
      if (pending.length >= 1_000) measure(machineMs() - NEWS_MS);
    },
    all() {
      measure(Number.POSITIVE_INFINITY);
      return times;
    },
  };
}
