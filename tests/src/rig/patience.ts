import { setTimeout as sleep } from "node:timers/promises";

export interface Patience {
  /** How long to try, in milliseconds; asked again with each look, since there can be reasons to wait longer. */
  readonly limitMs: number | (() => number);
  /** From one look to the next, in milliseconds. @defaultValue `20` */
  readonly everyMs?: number;
  readonly signal: AbortSignal;
}

/**
 * Looks until there is something to see, whatever goes wrong meanwhile: the server may be away. Answers with what was seen,
 * or undefined when the time is over.
 *
 * @throws the signal's reason once it aborts
 */
export async function lookUntil<Seen>(
  look: () => Promise<Seen | undefined>,
  { limitMs, everyMs = 20, signal }: Patience,
): Promise<Seen | undefined> {
  const startedAt = performance.now();
  const limit = typeof limitMs === "number" ? () => limitMs : limitMs;
  for (;;) {
    signal.throwIfAborted();
    const seen = await look().catch(() => undefined);
    if (seen !== undefined) return seen;
    if (performance.now() - startedAt > limit()) return undefined;
    await sleep(everyMs, undefined, { signal }).catch(() => undefined);
  }
}
