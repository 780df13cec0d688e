import type { GlobalPosition, LogPage, RecordedEvent } from "@pup/core";

/** An event of which nothing matters but where it stands. */
export function eventAt(position: GlobalPosition): RecordedEvent {
  return {
    globalPosition: position,
    aggregateType: "Order",
    aggregateId: `o-${position}`,
    aggregateVersion: 1,
    id: String(position),
    type: "OrderPlaced",
    version: 1,
    payload: {},
    metadata: null,
    traceId: null,
    correlationId: null,
    causationId: null,
    createdAt: new Date(0),
  };
}

/** A page of events at these positions; one byte each, unless told otherwise. */
export function pageOf(
  positions: readonly GlobalPosition[],
  through: GlobalPosition,
  sizes: readonly number[] = positions.map(() => 1),
): LogPage {
  return {
    positions,
    sizes,
    memoryBytes: sizes.reduce((sum, size) => sum + size, 0),
    through,
    events: async (from, to) => positions.slice(from, to).map(eventAt),
  };
}
