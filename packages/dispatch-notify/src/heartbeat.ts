import { type Clock, createWakeUp, sleep } from "@pup/core";
import type { ListenSession } from "./listen-session.ts";

/** Notifications that a dispatcher sends to itself, on a channel that nobody else listens on. */
export interface Heartbeat {
  readonly channel: string;
  /** One came back. */
  arrived(): void;
  /**
   * Sends one and waits until it comes back.
   *
   * @param sender - sends it: the session that listens, or another one
   * @returns false when it has not come back in time, the session was lost, or `signal` aborted
   */
  comesBack(session: ListenSession, sender: ListenSession, timeoutMs: number, signal: AbortSignal): Promise<boolean>;
  /**
   * Sends one at once and then every `intervalMs`, until `signal` aborts. Declares the session lost, and ends, when one does not
   * come back before the next is due.
   *
   * @param onFirst - told when the first one has come back
   */
  keepUp(session: ListenSession, intervalMs: number, signal: AbortSignal, onFirst: () => void): Promise<void>;
}

/** @param channel - a name of its own */
export function createHeartbeat(channel: string, clock: Clock): Heartbeat {
  const bell = createWakeUp(clock);

  const comesBack: Heartbeat["comesBack"] = async (session, sender, timeoutMs, signal) => {
    const token = bell.token();
    sender.notify(channel).catch((error: Error) => session.lose(error));
    return bell.wait(token, timeoutMs, AbortSignal.any([session.lost, signal]));
  };

  return {
    channel,
    arrived: () => bell.ring(),
    comesBack,
    async keepUp(session, intervalMs, signal, onFirst) {
      for (let first = true; ; first = false) {
        const alive = await comesBack(session, session, intervalMs, signal);
        if (signal.aborted) return;
        if (!alive) return session.lose(new Error(`Expected a notification to come back within ${intervalMs} ms.`));
        if (first) onFirst();
        await sleep(clock, intervalMs, signal);
        if (signal.aborted) return;
      }
    },
  };
}
