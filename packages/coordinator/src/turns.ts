import { type Clock, sleep } from "@pup/core";

/** Turns of others, for work that might never wait for anything. */
export interface Turns {
  /** Whether others have had no turn for too long. To be asked between two pieces of work. */
  readonly areDue: boolean;
  /** Gives them one. */
  give(signal: AbortSignal): Promise<void>;
  dispose(): void;
}

/**
 * Time after which it is looked whether others have had a turn, in milliseconds: they wait for twice as long at most. A handler that
 * only sends its statements takes dozens for a large batch.
 */
const TURN_MS = 5;

/** Watches one piece of work after the other. Whoever waits for answers gives turns by itself, and is not slowed. */
export function createTurns(clock: Clock): Turns {
  let since = clock.now();
  /** Null until the first look: whether there was a turn before cannot be known. */
  let hadTurn: boolean | null = null;
  let cancel: (() => void) | null = null;

  function watch(): void {
    since = clock.now();
    hadTurn = false;
    cancel?.();
    // Comes only when the event loop gets round.
    cancel = clock.after(0, () => {
      hadTurn = true;
    });
  }

  return {
    get areDue() {
      if (clock.now() - since <= TURN_MS) return false;
      const due = hadTurn === false;
      if (!due) watch();
      return due;
    },
    async give(signal) {
      await sleep(clock, 0, signal);
      watch();
    },
    dispose: () => cancel?.(),
  };
}
