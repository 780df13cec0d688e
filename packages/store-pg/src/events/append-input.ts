import { type AggregateRef, checkNewEvents, type NewEvent, PayloadTooLargeError } from "@pup/core";
import { newEventId } from "./new-event-id.ts";

/** An event as it is sent: its JSON is written, so nothing that its caller does to it afterwards matters. */
export interface EventTexts {
  readonly id: string;
  readonly type: string;
  readonly version: number;
  readonly payload: string;
  readonly metadata: string | null;
  readonly trace: string | null;
  readonly correlation: string | null;
  readonly causation: string | null;
}

/** An append that was checked and is ready to be sent. */
export interface AppendInput {
  readonly aggregate: AggregateRef;
  readonly events: readonly NewEvent[];
  /** Ids of the events, in lower case and in their order. */
  readonly ids: readonly string[];
  /** False when pup has just made all ids: then nobody else can have them. */
  readonly hasGivenIds: boolean;
  readonly texts: readonly EventTexts[];
  /** Characters of payloads and metadata. */
  readonly length: number;
}

/** jsonb keeps the length of a list in 28 bits, and all events of an append travel in one list. */
const MAX_APPEND_BYTES = 2 ** 28 - 1;

/** A character makes at most three bytes, and what is not payload or metadata at most a few thousand for each event. */
const MAY_BE_TOO_LARGE = MAX_APPEND_BYTES / 3;
const MOST_BESIDE = 10_000;

/**
 * Checks events and writes what is in them as JSON.
 *
 * @throws what {@link checkNewEvents} throws, and {@link PayloadTooLargeError}
 */
export function toAppendInput(events: readonly NewEvent[]): AppendInput {
  const aggregate = checkNewEvents(events);
  const texts = events.map(toTexts);
  let length = 0;
  for (const { payload, metadata } of texts) length += payload.length + (metadata?.length ?? 0);
  if (length + texts.length * MOST_BESIDE > MAY_BE_TOO_LARGE) checkSize(texts);
  const hasGivenIds = events.some(({ id }) => id !== undefined);
  return { aggregate, events, ids: texts.map(({ id }) => id), hasGivenIds, texts, length };
}

function toTexts(event: NewEvent): EventTexts {
  const { id, type, version = 1, payload, metadata, traceId, correlationId, causationId } = event;
  return {
    id: id?.toLowerCase() ?? newEventId(),
    type,
    version,
    payload: stringify(payload),
    metadata: metadata === undefined || metadata === null ? null : stringify(metadata),
    trace: traceId ?? null,
    correlation: correlationId ?? null,
    causation: causationId ?? null,
  };
}

/** Events as a statement for many reads them, without the brackets around the list. What is null is left out, and then NULL. */
export function toEventsJson(texts: readonly EventTexts[]): string {
  return texts.map(toEventJson).join();
}

function toEventJson({ id, type, version, payload, metadata, trace, correlation, causation }: EventTexts): string {
  // Ids, versions and what was written above need no further writing.
  let json = `{"id":"${id}","type":${JSON.stringify(type)},"version":${version},"payload":${payload}`;
  if (metadata !== null) json += `,"metadata":${metadata}`;
  if (trace !== null) json += `,"trace":${JSON.stringify(trace)}`;
  if (correlation !== null) json += `,"correlation":${JSON.stringify(correlation)}`;
  if (causation !== null) json += `,"causation":${JSON.stringify(causation)}`;
  return `${json}}`;
}

function stringify(value: unknown): string {
  return orTooLarge(() => JSON.stringify(value));
}

function checkSize(texts: readonly EventTexts[]): void {
  const bytes = orTooLarge(() => Buffer.byteLength(`[${toEventsJson(texts)}]`));
  if (bytes > MAX_APPEND_BYTES) throw tooLarge(`${bytes} bytes`);
}

/** The values were checked: what fails is a text longer than the platform can hold. */
function orTooLarge<Result>(write: () => Result): Result {
  try {
    return write();
  } catch (cause) {
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
