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
import { MemoryUniqueViolationError } from "./errors.ts";
import { aggregateKey, type StoredEvent } from "./event-table.ts";
import { toJsonbText } from "./jsonb.ts";
import { breakTransaction, checkUsable, lockRow, readRow, type Transaction, writeRow } from "./transaction.ts";

const HEADS = "aggregate_heads";

/** Version of an aggregate as the transaction sees it; 0 when it has no events. */
export function readVersion(database: Database, transaction: Transaction | null, aggregate: string): number {
  return readRow<number>(database, transaction, HEADS, aggregate) ?? 0;
}

/** What one append is about. */
interface Append {
  readonly database: Database;
  readonly transaction: Transaction;
  readonly events: readonly NewEvent[];
  /** Of the events, in their order. */
  readonly ids: readonly string[];
  /** Key of the aggregate. */
  readonly aggregate: string;
  /** Version that it must have; null for any. */
  readonly expected: number | null;
  readonly inCallersTransaction: boolean;
}

/** How one append is carried out. */
export interface AppendSettings extends Pick<AppendOptions, "expectedVersion"> {
  /** Ids given are looked for before anything is inserted: what fails would take the caller's transaction with it. */
  readonly inCallersTransaction: boolean;
}

/** Appends events within a transaction: locks, waits and draws positions in the order in which the database does. */
export async function appendEvents(
  database: Database,
  transaction: Transaction,
  events: readonly NewEvent[],
  { expectedVersion, inCallersTransaction }: AppendSettings,
): Promise<AppendResult> {
  const aggregate = aggregateKey(checkNewEvents(events));
  const expected = resolveExpectedVersion(expectedVersion);
  const ids = events.map(({ id }) => (id ?? newId(database)).toLowerCase());
  checkUsable(transaction);
  const append: Append = { database, transaction, events, ids, aggregate, expected, inCallersTransaction };

  const looksFirst = inCallersTransaction && events.some(({ id }) => id !== undefined);
  const stored = (await (looksFirst ? mayInsert(append) : mayInsertAtOnce(append))) ? await insert(append) : null;
  if (stored === null) return explain(append, expectedVersion);

  const fromVersion = readVersion(database, transaction, aggregate);
  const toVersion = fromVersion + events.length;
  transaction.events.push(...stored);
  writeRow(transaction, HEADS, aggregate, toVersion);
  return { events: toResult(events, stored), fromVersion, toVersion, duplicate: false };
}

/** Everything in one statement, which has locked the table before it looks at any row: who waits counts as in flight already. */
async function mayInsertAtOnce(append: Append): Promise<boolean> {
  const { database, transaction, aggregate, expected } = append;
  transaction.appender = true;
  // An update that finds no row to update waits for nobody. An insert that finds one does, whatever its version.
  if (expected !== null && expected > 0 && !isExpected(append)) return false;
  await lockRow(database, transaction, HEADS, aggregate);
  return isExpected(append);
}

/** A statement that locks the head, and makes it if need be; the one after it sees all that the lock has waited for. */
async function mayInsert(append: Append): Promise<boolean> {
  const { database, transaction, aggregate, expected, ids } = append;
  const isThere = () => readRow(database, transaction, HEADS, aggregate) !== undefined;
  if (expected !== null && expected > 0 && !isThere()) return false;
  await lockRow(database, transaction, HEADS, aggregate);
  if (!isThere()) writeRow(transaction, HEADS, aggregate, 0);
  if (!isExpected(append)) return false;
  transaction.appender = true;
  return !ids.some((id) => findEvent(append, id));
}

function isExpected({ database, transaction, aggregate, expected }: Append): boolean {
  return expected === null || readVersion(database, transaction, aggregate) === expected;
}

/**
 * One row after the other: each draws its position, and then waits for whoever has the same id in flight, as a unique index does.
 *
 * @returns null when an id is taken; positions that were drawn until then are gone
 * @throws {@link MemoryUniqueViolationError} instead in a caller's transaction, of which nothing can come any more
 */
async function insert(append: Append): Promise<readonly StoredEvent[] | null> {
  const { database, transaction, events, ids, aggregate, inCallersTransaction } = append;
  const fromVersion = readVersion(database, transaction, aggregate);
  const stored: StoredEvent[] = [];
  for (const [index, event] of events.entries()) {
    const id = ids[index] as string;
    const globalPosition = ++database.lastPosition;
    if (event.id !== undefined) await lockRow(database, transaction, "event ids", id);
    if (findEvent(append, id)) {
      if (!inCallersTransaction) return null;
      const failure = new MemoryUniqueViolationError(`Another transaction has committed an event with id ${id}.`);
      breakTransaction(database, transaction, failure);
      throw failure;
    }
    stored.push(
      toStoredEvent(event, {
        id,
        globalPosition,
        aggregateVersion: fromVersion + index + 1,
        createdAtMs: database.epochMs + transaction.beganAtMs,
      }),
    );
  }
  return stored;
}

function findEvent({ database, transaction }: Append, id: string): StoredEvent | undefined {
  return database.events.byId(id) ?? transaction.events.find((event) => event.id === id);
}

/** Why nothing was inserted: a repetition is none of it. */
function explain(append: Append, expectedVersion: AppendOptions["expectedVersion"] = "any"): AppendResult {
  const { database, transaction, events, aggregate } = append;
  const repeated = findRepetition(append);
  if (repeated) return repeated;
  const actual = readVersion(database, transaction, aggregate);
  throw new ConcurrencyConflictError(events[0] as NewEvent, expectedVersion, actual);
}

/** The result of an earlier append of the same ids; null when there was none. */
function findRepetition(append: Append): AppendResult | null {
  const { events, ids } = append;
  const found = ids.map((id) => findEvent(append, id));
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

/** The caller's events at the places of the stored ones. */
function toResult(events: readonly NewEvent[], stored: readonly StoredEvent[]): RecordedEvent[] {
  return stored.map((places, index) => {
    const event = events[index] as NewEvent;
    return {
      globalPosition: places.globalPosition,
      aggregateType: places.aggregateType,
      aggregateId: places.aggregateId,
      aggregateVersion: places.aggregateVersion,
      id: places.id,
      type: event.type,
      version: event.version ?? 1,
      payload: event.payload,
      metadata: event.metadata ?? null,
      traceId: event.traceId ?? null,
      correlationId: event.correlationId ?? null,
      causationId: event.causationId ?? null,
      createdAt: new Date(places.createdAtMs),
    };
  });
}

function newId({ clock, epochMs, random }: Database): string {
  const randomBytes = Uint8Array.from({ length: 10 }, () => Math.floor(random.fraction() * 256));
  return uuidV7({ wallClockMs: epochMs + clock.now(), randomBytes });
}
