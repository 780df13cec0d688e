import type { AppendResult, RecordedEvent } from "@pup/core";
import type { AppendInput } from "./append-input.ts";
import type { PlaceRow } from "./append-statements.ts";
import { toDate } from "./recorded-event.ts";

/**
 * Tells the caller where the events of an append have ended up.
 *
 * @param places - one for each event, in their order
 * @param duplicate - true when the events had been there before
 */
export function toAppendResult(
  { aggregate, events, ids }: AppendInput,
  places: readonly PlaceRow[],
  duplicate: boolean,
): AppendResult {
  const fromVersion = Number(places[0]?.version) - 1;
  const recorded = events.map((event, index): RecordedEvent => {
    const { position, version, createdat } = places[index] as PlaceRow;
    return {
      ...aggregate,
      globalPosition: BigInt(position),
      aggregateVersion: Number(version),
      id: ids[index] as string,
      type: event.type,
      version: event.version ?? 1,
      payload: event.payload,
      metadata: event.metadata ?? null,
      traceId: event.traceId ?? null,
      correlationId: event.correlationId ?? null,
      causationId: event.causationId ?? null,
      createdAt: toDate(createdat),
    };
  });
  return { events: recorded, fromVersion, toVersion: fromVersion + events.length, duplicate };
}
