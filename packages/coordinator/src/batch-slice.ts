import type { GlobalPosition, LogPage, RecordedEvent } from "@pup/core";

/** A page of the log, and where it begins. */
export interface HeldPage {
  /** All events in scope above it, up to where the page reaches, are in the page. */
  readonly after: GlobalPosition;
  readonly page: LogPage;
}

/** What a batch may be made of. */
export interface BatchRequest {
  readonly after: GlobalPosition;
  /** Inclusive. */
  readonly upTo: GlobalPosition;
  /** Most events. */
  readonly limit: number;
  /** Stored bytes after which the batch ends; the first event always fits. */
  readonly maxBytes: number;
}

/** A batch, as parts of pages. */
export interface BatchSlice {
  readonly parts: readonly { readonly page: LogPage; readonly from: number; readonly to: number }[];
  /** How far the batch reaches: all events in scope at or below it (and above `after`) are in it. */
  readonly through: GlobalPosition;
}

/**
 * Takes a batch out of pages of which each begins where the one before ends, the first at or below `after`.
 *
 * A batch that is cut reaches to its own last event and no further: behind that, in the same page, stands what the next one is
 * to hold.
 */
export function sliceBatch(pages: Iterable<HeldPage>, { after, upTo, limit, maxBytes }: BatchRequest): BatchSlice {
  const parts: { page: LogPage; from: number; to: number }[] = [];
  let through = after;
  let events = 0;
  let bytes = 0;
  for (const { page } of pages) {
    const { positions, sizes } = page;
    const from = indexAbove(positions, through);
    const end = indexAbove(positions, upTo);
    let to = from;
    for (; to < end && events < limit; to++) {
      bytes += sizes[to] as number;
      if (events > 0 && bytes > maxBytes) break;
      events += 1;
    }
    if (to > from) parts.push({ page, from, to });
    if (to < end) return { parts, through: to > from ? (positions[to - 1] as GlobalPosition) : through };
    through = page.through < upTo ? page.through : upTo;
    if (through === upTo || events === limit) break;
  }
  return { parts, through };
}

/** Makes the events of a batch. */
export async function eventsOf({ parts }: Pick<BatchSlice, "parts">): Promise<RecordedEvent[]> {
  const lists = await Promise.all(parts.map(({ page, from, to }) => page.events(from, to)));
  return lists.length === 1 ? (lists[0] as RecordedEvent[]) : lists.flat();
}

/** Index of the first position above one; the length when there is none. */
export function indexAbove(positions: readonly GlobalPosition[], position: GlobalPosition): number {
  let low = 0;
  let high = positions.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((positions[middle] as GlobalPosition) > position) high = middle;
    else low = middle + 1;
  }
  return low;
}
