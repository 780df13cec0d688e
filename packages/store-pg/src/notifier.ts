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
 * one is always told. One notification is under way at a time: while the server does not answer, the rest wait together for
 * it, and no connection of the pool but one.
 */
export function createNotifier({ notify, minIntervalMs, clock, logger }: NotifierOptions): Notifier {
  let pending = false;
  let cancelPause: (() => void) | undefined;
  let sending: Promise<boolean> | undefined;
  let closed = false;

  /** @returns false when it did not get through */
  async function send(): Promise<boolean> {
    try {
      await notify(EVENTS_SIGNAL);
      return true;
    } catch (error) {
      logger.debug({ err: error }, "workers could not be told of new events; they will find them");
      return false;
    }
  }

  function tell(): void {
    pending = false;
    sending = send().finally(() => {
      sending = undefined;
      tellPending();
    });
    cancelPause = clock.after(minIntervalMs, () => {
      cancelPause = undefined;
      tellPending();
    });
  }

  function tellPending(): void {
    if (pending && !closed && sending === undefined && cancelPause === undefined) tell();
  }

  return {
    wake() {
      if (closed) return;
      pending = true;
      tellPending();
    },
    async close() {
      closed = true;
      cancelPause?.();
      // What has just failed would fail again, and on a dead line take as long.
      const gotThrough = (await sending) ?? true;
      if (pending && gotThrough) await send();
      pending = false;
    },
  };
}
