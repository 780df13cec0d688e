import {
  InvalidEventError,
  InvalidOptionError,
  MixedAggregatesError,
  NoEventsError,
  PayloadNotSerializableError,
} from "./errors.ts";
import type { AggregateRef, NewEvent } from "./event.ts";
import type { ExpectedVersion } from "./event-store.ts";
import { findUnserializable, isStorableText } from "./serializable.ts";

/** Largest event version and aggregate version: PostgreSQL's `integer`. */
const MAX_VERSION = 2 ** 31 - 1;

// An index entry of PostgreSQL holds about 2,700 bytes, and one of them carries aggregate type and id together.
const MAX_NAME_BYTES = 255;
const MAX_ID_BYTES = 1_024;

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;
const encoder = new TextEncoder();

/**
 * Checks everything about an append that needs no database, so that every store refuses the same things.
 *
 * @returns the aggregate that all the events belong to
 * @throws {@link NoEventsError} when the list is empty
 * @throws {@link MixedAggregatesError} when the events belong to more than one aggregate
 * @throws {@link InvalidEventError} when a field cannot be stored, or two events have one id
 * @throws {@link PayloadNotSerializableError} when a payload or metadata cannot be stored
 */
export function checkNewEvents(events: readonly NewEvent[]): AggregateRef {
  const [first] = events;
  if (first === undefined) throw new NoEventsError();

  const indexOfId = new Map<string, number>();
  for (const [index, event] of events.entries()) {
    checkFields(event, index);
    if (event.aggregateType !== first.aggregateType || event.aggregateId !== first.aggregateId) {
      throw new MixedAggregatesError(first, event, index);
    }
    if (event.id !== undefined) {
      const id = event.id.toLowerCase();
      const other = indexOfId.get(id);
      if (other !== undefined) {
        throw new InvalidEventError(
          `Expected every event to have an id of its own, but events ${other} and ${index} share ${id}.`,
        );
      }
      indexOfId.set(id, index);
    }
    checkJson(event.payload, "payload", index);
    if (event.metadata !== undefined && event.metadata !== null) checkJson(event.metadata, "metadata", index);
  }
  return { aggregateType: first.aggregateType, aggregateId: first.aggregateId };
}

/**
 * Returns the version that an append expects, as a number; null for `"any"`.
 *
 * @throws {@link InvalidOptionError} when it is none of the values allowed
 */
export function resolveExpectedVersion(expected: ExpectedVersion = "any"): number | null {
  if (expected === "any") return null;
  if (expected === "no-stream") return 0;
  if (typeof expected === "number" && Number.isInteger(expected) && expected >= 0 && expected <= MAX_VERSION)
    return expected;
  throw new InvalidOptionError(
    `Expected \`expectedVersion\` to be "any", "no-stream" or a whole number from 0, got ${typeof expected === "string" ? JSON.stringify(expected) : String(expected)}.`,
  );
}

function checkFields(event: NewEvent, index: number): void {
  checkText(event.aggregateType, "aggregateType", index, 1, MAX_NAME_BYTES);
  checkText(event.aggregateId, "aggregateId", index, 1, MAX_ID_BYTES);
  checkText(event.type, "type", index, 1, MAX_NAME_BYTES);
  for (const name of ["traceId", "correlationId", "causationId"] as const) {
    const value = event[name];
    if (value !== undefined && value !== null) checkText(value, name, index, 0, MAX_ID_BYTES);
  }
  if (event.id !== undefined && !(typeof event.id === "string" && uuid.test(event.id))) {
    throw new InvalidEventError(`Expected \`id\` of event ${index} to be a UUID, got ${JSON.stringify(event.id)}.`);
  }
  const { version = 1, metadata = null } = event;
  if (!Number.isInteger(version) || version < 1 || version > MAX_VERSION) {
    throw new InvalidEventError(
      `Expected \`version\` of event ${index} to be a whole number from 1 to ${MAX_VERSION}, got ${String(version)}.`,
    );
  }
  if (typeof metadata !== "object" || Array.isArray(metadata)) {
    throw new InvalidEventError(
      `Expected \`metadata\` of event ${index} to be an object or null, got ${Array.isArray(metadata) ? "a list" : typeof metadata}.`,
    );
  }
}

function checkText(value: unknown, name: string, index: number, minBytes: number, maxBytes: number): void {
  const isText = typeof value === "string";
  // A character makes at most three bytes: most texts are short enough not to be measured.
  const isShort = isText && value.length >= minBytes && value.length * 3 <= maxBytes;
  if (isShort && isStorableText(value)) return;
  const bytes = isText ? encoder.encode(value).length : -1;
  if (!isText || bytes < minBytes || bytes > maxBytes || !isStorableText(value)) {
    throw new InvalidEventError(
      `Expected \`${name}\` of event ${index} to be a text of ${minBytes} to ${maxBytes} bytes without NUL and without halves of surrogate pairs, ` +
        `got ${typeof value === "string" ? `${bytes} bytes` : typeof value}.`,
    );
  }
}

function checkJson(value: unknown, name: "payload" | "metadata", index: number): void {
  const found = findUnserializable(value, name);
  if (found) throw new PayloadNotSerializableError(index, found.path, found.reason);
}
