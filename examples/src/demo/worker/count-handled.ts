import type { EventSource, WorkerEvents } from "@pup/core";

/** Counts the events that each consumer has handled; every call gives what came in since the last one. */
export function countHandled(events: EventSource<WorkerEvents>): () => Readonly<Record<string, number>> {
  let counts: Record<string, number> = {};
  events.on("batch:committed", ({ consumer, events }) => {
    counts[consumer] = (counts[consumer] ?? 0) + events;
  });
  return () => {
    const taken = counts;
    counts = {};
    return taken;
  };
}
