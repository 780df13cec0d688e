import type { QueuedAppend } from "./append-group.ts";
import { OverloadedError } from "./overloaded-error.ts";

/** The appends that have not been sent yet. */
export interface AppendBacklog {
  /** @throws {@link OverloadedError} when too many wait already */
  add(append: QueuedAppend): void;
  /** It is being sent: from now on the time for statements counts. */
  delete(append: QueuedAppend): void;
}

export interface AppendBacklogOptions {
  /** How long an append may wait, in milliseconds. Then it is gone, and its caller told that it was not sent. */
  readonly maxWaitMs: number;
  /** Most appends that wait. */
  readonly maxAppends: number;
  /** Most characters of payloads and metadata that wait, unless it is a single append. */
  readonly maxLength: number;
}

/** Keeps what waits within bounds of memory and time. One timer for all: the one that came first is the first whose time is over. */
export function createAppendBacklog({ maxWaitMs, maxAppends, maxLength }: AppendBacklogOptions): AppendBacklog {
  const appends = new Set<QueuedAppend>();
  let length = 0;
  let isWatched = false;

  function giveUpOverdue(): void {
    isWatched = false;
    const now = performance.now();
    for (const append of appends) {
      const restMs = append.queuedAt + maxWaitMs - now;
      if (restMs > 0) {
        watch(restMs);
        return;
      }
      append.isGone = true;
      remove(append);
      append.reject(
        new OverloadedError(`Expected the append to be sent within \`statementTimeoutMs\` (${maxWaitMs}); it was not.`),
      );
    }
  }

  function watch(delayMs: number): void {
    // Ends no later than what it waits for: that keeps the process alive.
    if (!isWatched) setTimeout(giveUpOverdue, delayMs).unref();
    isWatched = true;
  }

  function remove(append: QueuedAppend): void {
    if (appends.delete(append)) length -= append.request.input.length;
  }

  return {
    add(append) {
      const added = append.request.input.length;
      if (appends.size >= maxAppends || (appends.size > 0 && length + added > maxLength)) {
        throw new OverloadedError(
          `Expected at most ${maxAppends} appends with ${maxLength} characters of payloads to wait, got one more.`,
        );
      }
      appends.add(append);
      length += added;
      watch(maxWaitMs);
    },
    delete: remove,
  };
}
