import type { AggregateRef, GlobalPosition, RecordedEvent } from "@pup/core";

/** An event as it is stored: payload and metadata as text, so that no reader can reach what another one gets. */
export interface StoredEvent extends Omit<RecordedEvent, "payload" | "metadata" | "createdAt"> {
  readonly payloadText: string;
  readonly metadataText: string;
  readonly createdAtMs: number;
}

/** Committed events, with the indexes that reading them takes. */
export interface EventTable {
  /** Makes events visible. */
  add(events: readonly StoredEvent[]): void;
  /** All events above a position, in position order. */
  above(position: GlobalPosition): Iterable<StoredEvent>;
  /** Events of one aggregate, oldest first. */
  ofAggregate(aggregate: AggregateRef): readonly StoredEvent[];
  byId(id: string): StoredEvent | undefined;
  /** Highest position; `0n` when there is no event. */
  highest(): GlobalPosition;
}

/** Key of an aggregate, different for different aggregates. */
export function aggregateKey({ aggregateType, aggregateId }: AggregateRef): string {
  return JSON.stringify([aggregateType, aggregateId]);
}

/** Creates an empty table. */
export function createEventTable(): EventTable {
  const log: StoredEvent[] = [];
  const streams = new Map<string, StoredEvent[]>();
  const ids = new Map<string, StoredEvent>();

  /** Index of the first event above a position. */
  const indexAbove = (position: GlobalPosition) => {
    let [low, high] = [0, log.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((log[middle] as StoredEvent).globalPosition > position) high = middle;
      else low = middle + 1;
    }
    return low;
  };

  return {
    add(events) {
      for (const event of events) {
        log.splice(indexAbove(event.globalPosition), 0, event);
        ids.set(event.id, event);
        const key = aggregateKey(event);
        const stream = streams.get(key);
        if (stream) stream.push(event);
        else streams.set(key, [event]);
      }
    },
    *above(position) {
      for (let index = indexAbove(position); index < log.length; index++) yield log[index] as StoredEvent;
    },
    ofAggregate: (aggregate) => streams.get(aggregateKey(aggregate)) ?? [],
    byId: (id) => ids.get(id),
    highest: () => log.at(-1)?.globalPosition ?? 0n,
  };
}

/** Makes an event for a reader, who may change it as much as it likes. */
export function toRecordedEvent(stored: StoredEvent): RecordedEvent {
  const { payloadText, metadataText, createdAtMs, ...places } = stored;
  return {
    ...places,
    payload: JSON.parse(payloadText),
    metadata: JSON.parse(metadataText),
    createdAt: new Date(createdAtMs),
  };
}
