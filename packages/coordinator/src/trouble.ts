import type { GlobalPosition, RecordedEvent } from "@pup/core";

/**
 * What failed batches have taught about the events ahead: which of them fails, or among which it is.
 *
 * Plain data and pure functions. The events before the one that fails are to be kept, so a batch that failed is tried again in
 * parts: up to the event that failed where that is known, in halves where it is not, until one event is alone.
 */
export interface Trouble {
  /** Position of the event that fails; null as long as it is only one of those up to `upTo`. */
  readonly culprit: GlobalPosition | null;
  /** Last position of the batch that failed. */
  readonly upTo: GlobalPosition;
  /** Most events that the next batch may have while the culprit is unknown. */
  readonly limit: number;
  /** Batches that failed since an event at hand was first tried, whatever their size. */
  readonly tries: number;
  /** How often the culprit failed; 0 while it is unknown. */
  readonly failures: number;
  /** When the culprit first failed, by the clock. */
  readonly firstFailedAt: number;
  /** What the last batch failed with. */
  readonly error: unknown;
}

/** A batch that failed. */
export interface FailedBatch {
  /** Its events; at least one. */
  readonly events: readonly RecordedEvent[];
  /** The event that was being handled; null when that is not known, or all had been handled. */
  readonly at: RecordedEvent | null;
  /** Its time was over: which event took it is not known, unless it was the first. */
  readonly timedOut: boolean;
  readonly error: unknown;
  /** By the clock. */
  readonly now: number;
}

/** What the next batch may be made of. */
export interface BatchBounds {
  readonly upTo: GlobalPosition;
  readonly limit: number;
}

/** Takes in a batch that failed. */
export function learnFrom(before: Trouble | null, failed: FailedBatch): Trouble {
  const { events, at, timedOut, error, now } = failed;
  const upTo = (events.at(-1) as RecordedEvent).globalPosition;
  const index = at === null ? null : events.indexOf(at);
  const isFound = events.length === 1 || index === 0 || (index !== null && !timedOut);
  const culprit = isFound ? (events[index ?? 0] as RecordedEvent).globalPosition : null;
  const isKnown = culprit !== null && before?.culprit === culprit;
  const half = Math.ceil(events.length / 2);
  return {
    culprit,
    upTo,
    // The events before the one that ran out of time had no trouble with theirs, if they were few enough.
    limit: index === null || index === 0 ? half : Math.min(half, index),
    tries: (before?.tries ?? 0) + 1,
    failures: culprit === null ? 0 : isKnown ? before.failures + 1 : 1,
    firstFailedAt: isKnown ? before.firstFailedAt : now,
    error,
  };
}

/** Takes in that all events up to a position have been handled. */
export function moveOn(trouble: Trouble | null, position: GlobalPosition): Trouble | null {
  return trouble !== null && position < (trouble.culprit ?? trouble.upTo) ? trouble : null;
}

/** Bounds the batch that follows `position`: the events before the culprit, or the culprit alone, or a part of the batch that failed. */
export function boundBatch(trouble: Trouble | null, position: GlobalPosition, whole: BatchBounds): BatchBounds {
  if (trouble === null) return whole;
  const { culprit, limit } = trouble;
  if (culprit === null) return { upTo: whole.upTo, limit: Math.min(limit, whole.limit) };
  const bounds = position < culprit - 1n ? { upTo: culprit - 1n, limit: whole.limit } : { upTo: culprit, limit: 1 };
  return bounds.upTo < whole.upTo ? bounds : { ...bounds, upTo: whole.upTo };
}
