import { type Clock, EVENTS_SIGNAL, type Logger } from "@pup/core";

/** Tells workers that there may be new events, after commits of the store's own. */
export interface Notifier {
  /** Something was committed. Never throws; what goes wrong costs workers time, never an event. */
  wake(): void;
  /** Sends what is still to be told, and then nothing any more. */
  close(): Promise<void>;
}

export interface NotifierOptions {
  /** Sends one notification. */
  readonly notify: (payload: string) => Promise<unknown>;
  /** Least time between two notifications, in milliseconds: each takes a lock that all commits of the server share. */
  readonly minIntervalMs: number;
  readonly clock: Clock;
  readonly logger: Logger;
}

/**
 * Makes a notifier that tells the first at once, and all that come in the following interval together at its end: the last
 * one is always told.
 */
export function createNotifier({ notify, minIntervalMs, clock, logger }: NotifierOptions): Notifier {
  let pending = false;
  let cancelPause: (() => void) | undefined;
  let sending: Promise<void> = Promise.resolve();
  let closed = false;

  function tell(): void {
    pending = false;
    sending = Promise.all([sending, notify(EVENTS_SIGNAL)]).then(
      () => undefined,
      (error: unknown) => logger.debug({ err: error }, "workers could not be told of new events; they will find them"),
    );
  }

  function tellAndPause(): void {
    tell();
    cancelPause = clock.after(minIntervalMs, () => {
      cancelPause = undefined;
      if (pending) tellAndPause();
    });
  }

  return {
    wake() {
      if (closed) return;
      if (cancelPause) pending = true;
      else tellAndPause();
    },
    async close() {
      closed = true;
      cancelPause?.();
      if (pending) tell();
      await sending;
    },
  };
}
