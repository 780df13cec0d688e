import { machineMs } from "../machine-time.ts";

/** Transactions that have appended, from their first append to their end, by {@link machineMs}. */
export interface TransactionSpans {
  /** A transaction is about to append. Returns what to call when it has ended. */
  begin(): () => void;
  /**
   * When the last of those ended that were open when a gap was seen, and not any more when it was closed; `seenAt` when there was
   * none. The one that ends last decides when the gap could be closed.
   */
  endOfOlder(gap: { readonly seenAt: number; readonly closedAt: number }): number;
}

/** How long ended transactions are remembered, in milliseconds. */
const KEPT_MS = 60_000;

/**
 * The writer learns of the end of its transaction a little later than the server and the workers do, in milliseconds: what ends
 * so soon after a gap was closed is what it waited for.
 */
const LATE_NEWS_MS = 20;

/** Creates an empty list. */
export function createSpans(now: () => number = machineMs): TransactionSpans {
  const spans = new Set<{ readonly beganAt: number; endedAt: number }>();
  return {
    begin() {
      const span = { beganAt: now(), endedAt: Number.POSITIVE_INFINITY };
      spans.add(span);
      return () => {
        span.endedAt = now();
        for (const old of spans) {
          if (old.endedAt >= span.endedAt - KEPT_MS) break;
          spans.delete(old);
        }
      };
    },
    endOfOlder({ seenAt, closedAt }) {
      let end = seenAt;
      for (const { beganAt, endedAt } of spans) {
        if (beganAt <= seenAt && endedAt <= closedAt + LATE_NEWS_MS) end = Math.max(end, Math.min(endedAt, closedAt));
      }
      return end;
    },
  };
}
