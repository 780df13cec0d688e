import type { Clock } from "./clock.ts";

/** What a loop takes before it reads. Spent as soon as a wake-up comes, also when nobody waits yet. */
export interface WakeUpToken {
  readonly spent: boolean;
}

/** A bell that cannot be missed by whoever took a token before looking. */
export interface WakeUp {
  /** Takes a token. Do this **before** reading: what comes during the read then ends the wait at once. */
  token(): WakeUpToken;
  /** Spends all tokens taken so far, and ends their waits. */
  ring(): void;
  /**
   * Waits until the token is spent, the time is over or the signal aborts. Never rejects.
   *
   * @returns true when a wake-up came
   */
  wait(token: WakeUpToken, timeoutMs: number, signal?: AbortSignal): Promise<boolean>;
}

interface Token extends WakeUpToken {
  spent: boolean;
}

/**
 * Creates a bell.
 *
 * @example
 * ```ts
 * const bell = createWakeUp(systemClock);
 * for (;;) {
 *   const token = bell.token();
 *   if (await readSomething()) continue;
 *   await bell.wait(token, 1_000);
 * }
 * ```
 */
export function createWakeUp(clock: Clock): WakeUp {
  let current: Token = { spent: false };
  const waiting = new Set<() => void>();

  return {
    token: () => current,
    ring() {
      current.spent = true;
      current = { spent: false };
      for (const end of [...waiting]) end();
    },
    wait: (token, timeoutMs, signal) =>
      new Promise((resolve) => {
        if (token.spent || signal?.aborted) return resolve(token.spent);
        const end = () => {
          cancel();
          waiting.delete(end);
          signal?.removeEventListener("abort", end);
          resolve(token.spent);
        };
        const cancel = clock.after(timeoutMs, end);
        waiting.add(end);
        signal?.addEventListener("abort", end, { once: true });
      }),
  };
}
