import type { Randomness } from "./clock.ts";

/** Bounds of an exponential back-off, in milliseconds. */
export interface BackOffBounds {
  readonly initialMs: number;
  readonly maxMs: number;
}

/**
 * Time to wait before the next attempt: doubles with each attempt up to `maxMs`, half of it fixed and half of it random,
 * so that many that failed together do not come back together.
 *
 * @param attempt - how many attempts have failed, from 1
 */
export function backOffMs(
  attempt: number,
  { initialMs, maxMs }: BackOffBounds,
  random: Pick<Randomness, "fraction">,
): number {
  const ceiling = Math.min(maxMs, initialMs * 2 ** Math.min(attempt - 1, 52));
  return ceiling / 2 + random.fraction() * (ceiling / 2);
}
