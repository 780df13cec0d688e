import type { GlobalPosition } from "@pup/core";
import type { HeldPage } from "./batch-slice.ts";

/** Who reads a scope: its pages are kept for them. */
export interface Reader {
  readonly scope: string;
  /** What lies at or below it is not needed any more. */
  readonly position: GlobalPosition;
}

/**
 * Pages of the log that are kept for readers who have yet to come to them, by scope and up to a number of bytes.
 *
 * Where readers have drifted apart too far for everything between them to be kept, those pages go that will be needed last. So a
 * slow reader finds a stretch of pages ahead of it, and a fast one never loses the pages that it needs next to the slow one.
 */
export interface PageShelf {
  /** The pages that follow each other, from the one on that holds what comes right after the position; none when there is none. */
  from(scope: string, after: GlobalPosition): Iterable<HeldPage>;
  holds(scope: string, after: GlobalPosition): boolean;
  /** Keeps a page if there is room for it and some reader has it ahead. */
  add(scope: string, page: HeldPage): void;
  /**
   * Makes room by dropping pages that will be needed later than one that begins after `position`.
   *
   * @returns whether there is room, bytes that are to come otherwise included
   */
  makeRoom(scope: string, after: GlobalPosition, bytes: number): boolean;
  /** Drops what no reader of the scope needs any more. */
  tidy(scope: string): void;
  clear(): void;
  readonly heldBytes: number;
}

/** Creates an empty shelf. `readers` are those that there are when it is asked. */
export function createPageShelf(maxBytes: number, readers: () => Iterable<Reader>): PageShelf {
  /** In order, and none within another: whatever begins later ends later. */
  const shelves = new Map<string, HeldPage[]>();
  let heldBytes = 0;

  /** How many positions the nearest reader is away from needing the page; null when nobody will. */
  function distanceTo(scope: string, after: GlobalPosition, through: GlobalPosition): GlobalPosition | null {
    let nearest: GlobalPosition | null = null;
    for (const reader of readers()) {
      if (reader.scope !== scope || reader.position >= through) continue;
      const distance = reader.position < after ? after - reader.position : 0n;
      if (nearest === null || distance < nearest) nearest = distance;
    }
    return nearest;
  }

  function remove(scope: string, pages: readonly HeldPage[]): void {
    if (pages.length === 0) return;
    const left = (shelves.get(scope) ?? []).filter((page) => !pages.includes(page));
    if (left.length > 0) shelves.set(scope, left);
    else shelves.delete(scope);
    for (const { page } of pages) heldBytes -= page.memoryBytes;
  }

  function tidy(scope: string): void {
    const unneeded = (shelves.get(scope) ?? []).filter(
      ({ after, page }) => distanceTo(scope, after, page.through) === null,
    );
    remove(scope, unneeded);
  }

  /** Drops pages from the farthest on, those only that are farther away than the distance, until `bytes` more fit. */
  function makeRoomWithin(distance: GlobalPosition, bytes: number): boolean {
    if (heldBytes + bytes <= maxBytes) return true;
    const farther = [...shelves]
      .flatMap(([scope, pages]) =>
        pages.map((held) => ({ scope, held, distance: distanceTo(scope, held.after, held.page.through) })),
      )
      .filter((each) => each.distance === null || each.distance > distance)
      .sort((a, b) => compare(b.distance, a.distance));
    for (const { scope, held } of farther) {
      remove(scope, [held]);
      if (heldBytes + bytes <= maxBytes) return true;
    }
    return false;
  }

  /** The last page that begins at or below the position; as none lies within another, no other one could hold more. */
  function indexOf(pages: readonly HeldPage[], position: GlobalPosition): number {
    const index = pages.findLastIndex(({ after }) => after <= position);
    return index >= 0 && (pages[index] as HeldPage).page.through > position ? index : -1;
  }

  return {
    *from(scope, after) {
      const pages = shelves.get(scope) ?? [];
      for (let at = after; ; ) {
        const held = pages[indexOf(pages, at)];
        if (!held) return;
        yield held;
        at = held.page.through;
      }
    },
    holds: (scope, after) => indexOf(shelves.get(scope) ?? [], after) >= 0,

    add(scope, added) {
      const { after, page } = added;
      const within = (inner: HeldPage, outer: HeldPage) =>
        inner.after >= outer.after && inner.page.through <= outer.page.through;
      if (shelves.get(scope)?.some((held) => within(added, held))) return;
      const distance = distanceTo(scope, after, page.through);
      if (distance === null) return;
      remove(
        scope,
        (shelves.get(scope) ?? []).filter((held) => within(held, added)),
      );
      if (!makeRoomWithin(distance, page.memoryBytes)) return;
      const pages = [...(shelves.get(scope) ?? []), added].sort((a, b) => compare(a.after, b.after));
      shelves.set(scope, pages);
      heldBytes += page.memoryBytes;
    },

    makeRoom(scope, after, bytes) {
      const distance = distanceTo(scope, after, after + 1n);
      return distance !== null && makeRoomWithin(distance, bytes);
    },
    tidy,
    clear() {
      shelves.clear();
      heldBytes = 0;
    },
    get heldBytes() {
      return heldBytes;
    },
  };
}

/** Nobody's last. */
function compare(a: GlobalPosition | null, b: GlobalPosition | null): number {
  if (a === b) return 0;
  if (a === null || b === null) return a === null ? 1 : -1;
  return a < b ? -1 : 1;
}
