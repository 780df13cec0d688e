import { InvalidStateError } from "@pup/core";

/** The way in: lets calls through until it is closed, and knows which of them are still under way. */
export interface Gate {
  /**
   * Runs a call.
   *
   * @throws {@link InvalidStateError} once the gate is closed
   */
  pass<Result>(call: () => Promise<Result>): Promise<Result>;
  /** Lets nobody in any more. Resolves when all calls have ended, or after `graceMs`. @returns false when some go on */
  close(graceMs: number): Promise<boolean>;
}

/** Calls of several statements are more than any of these alone: a store that closed between two would leave them half answered. */
export function createGate(): Gate {
  const running = new Set<Promise<unknown>>();
  let closed = false;

  return {
    async pass(call) {
      if (closed) throw new InvalidStateError("The store is closed.");
      const ended = call();
      running.add(ended);
      try {
        return await ended;
      } finally {
        running.delete(ended);
      }
    },
    async close(graceMs) {
      closed = true;
      let timer: NodeJS.Timeout | undefined;
      const graceIsOver = new Promise<false>((resolve) => {
        timer = setTimeout(() => resolve(false), graceMs);
      });
      const allEnded = Promise.allSettled(running).then(() => true);
      const outcome = await Promise.race([allEnded, graceIsOver]);
      clearTimeout(timer);
      return outcome;
    },
  };
}
