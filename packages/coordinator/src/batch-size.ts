/** Between which numbers of events a batch may have. */
export interface BatchSizeBounds {
  readonly min: number;
  readonly max: number;
}

/** A batch that was handled. */
export interface HandledBatch {
  readonly events: number;
  /** What the handler took, in milliseconds. */
  readonly durationMs: number;
}

/**
 * Time that a handler is to take for a batch at most, in milliseconds. What a batch costs beside its handler, four statements, is
 * then a hundredth of it or so; and whoever waits for the consumer, to stop it or to move it, does not wait for long.
 */
export const AIM_MS = 100;

/**
 * Tells how many events the next batch may have after one of `size` at most: twice as many when the handler is quick, as many
 * as fit into its time when it is slow.
 */
export function nextBatchSize(
  size: number,
  { events, durationMs }: HandledBatch,
  { min, max }: BatchSizeBounds,
): number {
  const within = (wanted: number) => Math.min(max, Math.max(min, Math.floor(wanted)));
  if (durationMs > AIM_MS) return within(Math.min(size, (events * AIM_MS) / durationMs));
  // A batch that is not full tells nothing about larger ones: there was no more.
  const isFull = events >= size;
  return isFull && 2 * durationMs <= AIM_MS ? within(2 * size) : within(size);
}
