import type { EventSource, GlobalPosition, WorkerEvents } from "@pup/core";
import { machineMs } from "../machine-time.ts";
import type { ClosedGap } from "./settings.ts";
import type { RigStore } from "./without-protection.ts";

interface Moment {
  readonly position: GlobalPosition;
  readonly at: number;
}

/** How many readings are remembered: far more than happen while a gap is open. */
const KEPT = 5_000;

/**
 * Notes when this process first read past a gap, and when it knew the gap to be closed: everything up to its end is settled from
 * then on, and consumers read on. (That it was a gap turns out a query later.)
 */
export function watchGaps(store: RigStore): {
  readonly store: RigStore;
  /** Tells of every gap from now on. */
  watch(events: EventSource<WorkerEvents>, onClosed: (gap: ClosedGap) => void): void;
} {
  const readings: Moment[] = [];
  const settled: Moment[] = [];

  return {
    store: {
      ...store,
      async scanPositions(after, bring) {
        const scan = await store.scanPositions(after, bring);
        note(readings, scan.highest);
        return scan;
      },
    },
    watch(events, onClosed) {
      events.on("log:settled", ({ position }) => note(settled, position));
      events.on("log:gaps-closed", ({ ranges }) => {
        for (const { last } of ranges) {
          const seenAt = firstAtOrAbove(readings, last + 1n);
          const closedAt = firstAtOrAbove(settled, last);
          if (seenAt !== undefined && closedAt !== undefined) onClosed({ seenAt, closedAt });
        }
      });
    },
  };
}

function note(moments: Moment[], position: GlobalPosition): void {
  const newest = moments.at(-1);
  // After a crash of the server, positions are drawn a second time.
  if (newest && position < newest.position) moments.length = 0;
  if (newest?.position !== position) moments.push({ position, at: machineMs() });
  if (moments.length > KEPT) moments.shift();
}

function firstAtOrAbove(moments: readonly Moment[], position: GlobalPosition): number | undefined {
  return moments.find((moment) => moment.position >= position)?.at;
}
