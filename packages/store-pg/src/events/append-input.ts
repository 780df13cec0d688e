import { type AggregateRef, checkNewEvents, type NewEvent, PayloadTooLargeError } from "@pup/core";
import { newEventId } from "./new-event-id.ts";

/** An append that was checked and is ready to be sent. */
export interface AppendInput {
  readonly aggregate: AggregateRef;
  readonly events: readonly NewEvent[];
  /** Ids of the events, in lower case and in their order. */
  readonly ids: readonly string[];
  /** False when pup has just made all ids: then nobody else can have them. */
  readonly hasGivenIds: boolean;
  /** The events as the statement reads them. */
  readonly json: string;
}

/** jsonb keeps the length of a list in 28 bits, and all events of an append travel in one list. */
const MAX_APPEND_BYTES = 2 ** 28 - 1;

/**
 * Checks events and writes them as one JSON text.
 *
 * @throws what {@link checkNewEvents} throws, and {@link PayloadTooLargeError}
 */
export function toAppendInput(events: readonly NewEvent[]): AppendInput {
  const aggregate = checkNewEvents(events);
  const ids = events.map(({ id }) => id?.toLowerCase() ?? newEventId());
  return { aggregate, events, ids, hasGivenIds: events.some(({ id }) => id !== undefined), json: toJson(events, ids) };
}

/** What is undefined is left out, and then NULL in the database. */
function toJson(events: readonly NewEvent[], ids: readonly string[]): string {
  const list = events.map(({ type, version = 1, payload, metadata, traceId, correlationId, causationId }, index) => ({
    id: ids[index],
    type,
    version,
    payload,
    metadata: metadata ?? undefined,
    trace: traceId ?? undefined,
    correlation: correlationId ?? undefined,
    causation: causationId ?? undefined,
  }));
  const json = stringify(list);
  const bytes = Buffer.byteLength(json);
  if (bytes > MAX_APPEND_BYTES) throw tooLarge(`${bytes} bytes`);
  return json;
}

function stringify(list: readonly object[]): string {
  try {
    return JSON.stringify(list);
  } catch (cause) {
    // The values were checked: what is left is a text longer than the platform can hold.
    if (cause instanceof RangeError) throw tooLarge("more than a text can hold", { cause });
    throw cause;
  }
}

function tooLarge(found: string, options?: ErrorOptions): PayloadTooLargeError {
  return new PayloadTooLargeError(
    `Expected the events of one append to make at most ${MAX_APPEND_BYTES} bytes of JSON, got ${found}.`,
    options,
  );
}
