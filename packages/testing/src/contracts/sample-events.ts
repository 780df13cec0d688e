import type { NewEvent } from "@pup/core";

/** An event to append; what a case is about is given, the rest does not matter. */
export function sampleEvent(event: Partial<NewEvent> = {}): NewEvent {
  return { aggregateType: "Order", aggregateId: "order-1", type: "OrderPlaced", payload: { total: 12 }, ...event };
}

/** Several events of one aggregate. */
export function sampleEvents(count: number, event: Partial<NewEvent> = {}): NewEvent[] {
  return Array.from({ length: count }, (_, index) => sampleEvent({ payload: { index }, ...event }));
}

/** Numbers from `first` to `last`, both inclusive. */
export function range(first: number, last: number): number[] {
  return Array.from({ length: last - first + 1 }, (_, index) => first + index);
}
