import type { Clock } from "./clock.ts";

/**
 * Waits `delayMs` milliseconds, or until the signal aborts if that is sooner. Never rejects: who sleeps looks at the signal
 * afterwards anyway.
 */
export function sleep(clock: Clock, delayMs: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted) return resolve();
    const wake = () => {
      cancel();
      signal?.removeEventListener("abort", wake);
      resolve();
    };
    const cancel = clock.after(delayMs, wake);
    signal?.addEventListener("abort", wake, { once: true });
  });
}
