import {
  type AppendOptions,
  type AppendResult,
  ConcurrencyConflictError,
  checkNewEvents,
  DuplicateEventIdError,
  type NewEvent,
  type RecordedEvent,
  resolveExpectedVersion,
  uuidV7,
} from "@pup/core";
import type { Database } from "./database.ts";
import { aggregateKey, type StoredEvent } from "./event-table.ts";
import { toJsonbText } from "./jsonb.ts";
import { lockRow, readRow, type Transaction, writeRow } from "./transaction.ts";

const HEADS = "aggregate_heads";

/** Version of an aggregate as the transaction sees it; 0 when it has no events. */
export function readVersion(database: Database, transaction: Transaction | null, aggregate: string): number {
  return readRow<number>(database, transaction, HEADS, aggregate) ?? 0;
}

/** Appends events within a transaction: head first, then the ids, then the positions, as the database does. */
export async function appendEvents(
  database: Database,
  transaction: Transaction,
  events: readonly NewEvent[],
  options: Pick<AppendOptions, "expectedVersion">,
): Promise<AppendResult> {
  const aggregate = aggregateKey(checkNewEvents(events));
  const expected = resolveExpectedVersion(options.expectedVersion);

  // The database locks the table before it looks at any row: who waits for a row counts as in flight already.
  transaction.appender = true;
  const isExpected = () => expected === null || readVersion(database, transaction, aggregate) === expected;
  const ids = events.map(({ id }) => (id ?? newId(database)).toLowerCase());
  // An update that finds no row to update waits for nobody either.
  const mayAppend = isExpected();
  if (mayAppend) {
    await lockRow(database, transaction, HEADS, aggregate);
    await lockGivenIds(database, transaction, events, ids);
  }
  const repeated = findRepetition(database, transaction, events, ids);
  if (repeated) return repeated;

  const fromVersion = readVersion(database, transaction, aggregate);
  if (!mayAppend || !isExpected()) {
    throw new ConcurrencyConflictError(events[0] as NewEvent, options.expectedVersion ?? "any", fromVersion);
  }
  const toVersion = fromVersion + events.length;
  const stored = events.map((event, index) =>
    toStoredEvent(event, {
      id: ids[index] as string,
      globalPosition: ++database.lastPosition,
      aggregateVersion: fromVersion + index + 1,
      createdAtMs: database.epochMs + transaction.beganAtMs,
    }),
  );
  transaction.events.push(...stored);
  writeRow(transaction, HEADS, aggregate, toVersion);
  return { events: toResult(events, stored), fromVersion, toVersion, duplicate: false };
}

/** As a unique index does: waits for whoever has the same id in flight. */
async function lockGivenIds(
  database: Database,
  transaction: Transaction,
  events: readonly NewEvent[],
  ids: readonly string[],
): Promise<void> {
  const given = ids.filter((_, index) => events[index]?.id !== undefined);
  // In order, so that two appends wait for one another only one way.
  for (const id of given.toSorted()) await lockRow(database, transaction, "event ids", id);
}

/** The result of an earlier append of the same ids; null when there was none. */
function findRepetition(
  database: Database,
  transaction: Transaction,
  events: readonly NewEvent[],
  ids: readonly string[],
): AppendResult | null {
  const found = ids.map((id) => database.events.byId(id) ?? transaction.events.find((event) => event.id === id));
  const taken = found.filter((event) => event !== undefined);
  const [first] = taken;
  if (first === undefined) return null;

  const isRepetition =
    taken.length === events.length &&
    taken.every(
      (event, index) =>
        aggregateKey(event) === aggregateKey(events[0] as NewEvent) &&
        event.aggregateVersion === first.aggregateVersion + index,
    );
  if (!isRepetition) throw new DuplicateEventIdError(taken.map(({ id }) => id));
  const fromVersion = first.aggregateVersion - 1;
  return { events: toResult(events, taken), fromVersion, toVersion: fromVersion + taken.length, duplicate: true };
}

function toStoredEvent(
  event: NewEvent,
  places: Pick<StoredEvent, "id" | "globalPosition" | "aggregateVersion" | "createdAtMs">,
): StoredEvent {
  return {
    ...places,
    aggregateType: event.aggregateType,
    aggregateId: event.aggregateId,
    type: event.type,
    version: event.version ?? 1,
    traceId: event.traceId ?? null,
    correlationId: event.correlationId ?? null,
    causationId: event.causationId ?? null,
    payloadText: toJsonbText(event.payload),
    metadataText: toJsonbText(event.metadata ?? null),
  };
}

function toResult(events: readonly NewEvent[], stored: readonly StoredEvent[]): RecordedEvent[] {
  return stored.map(({ payloadText, metadataText, createdAtMs, ...places }, index) => ({
    ...places,
    payload: events[index]?.payload,
    metadata: events[index]?.metadata ?? null,
    createdAt: new Date(createdAtMs),
  }));
}

function newId({ clock, epochMs, random }: Database): string {
  const randomBytes = Uint8Array.from({ length: 10 }, () => Math.floor(random.fraction() * 256));
  return uuidV7({ wallClockMs: epochMs + clock.now(), randomBytes });
}
