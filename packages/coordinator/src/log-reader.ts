import type { EventLog, EventScope, GlobalPosition, ReadLogRequest, RecordedEvent } from "@pup/core";
import { type BatchRequest, eventsOf, type HeldPage, indexAbove, sliceBatch } from "./batch-slice.ts";
import { createPageShelf, type Reader } from "./page-shelf.ts";

/** What the reader needs. */
export interface LogReaderOptions {
  readonly store: Pick<EventLog, "readLog">;
  /** Memory for pages that are read before they are needed, or kept for those who come later, in bytes. */
  readonly readAheadBytes: number;
  /** Events of a page. @defaultValue `1_000` */
  readonly pageEvents?: number;
}

/** What a consumer asks for. */
export interface NextBatchRequest extends BatchRequest {
  /** How far the log may be read on behalf of this consumer, at least to `upTo`; settled. */
  readonly readable: GlobalPosition;
}

/** Events to be handled together. */
export interface ReadBatch {
  /** The reader's own: nobody else gets the same objects. */
  readonly events: readonly RecordedEvent[];
  /** All events in scope at or below it (and above `after`) are in the batch. */
  readonly through: GlobalPosition;
}

/** A consumer's place in the log. */
export interface LogPlace {
  /** Says where the consumer stands: what lies at or below is not needed for it any more. */
  moveTo(position: GlobalPosition): void;
  /** Reads the next batch, or takes it from pages that are there; reads on meanwhile. Rejects with the store's errors. */
  read(request: NextBatchRequest): Promise<ReadBatch>;
  /** Nothing is kept for this consumer any more. */
  close(): void;
}

/**
 * Reads the log for all consumers of a process, ahead of them: while a batch is handled, what comes next is on its way. Consumers
 * of the same scope whose places lie in the same pages share them.
 */
export interface LogReader {
  open(scope: EventScope): LogPlace;
  /** Reads what is asked for and nothing else, whatever is there already. */
  readAnew(request: ReadLogRequest): Promise<ReadBatch>;
  /** Takes in events that have just become readable: all that there are, of any scope, above `after` and as far as the page reaches. */
  offer(head: HeldPage): void;
  /** Forgets every page, also those that are on their way. */
  forget(): void;
  /** Resolves when nothing is being read. */
  ended(): Promise<void>;
}

/** Events of a page: as many as a quick consumer handles in one batch. */
const PAGE_EVENTS = 1_000;
/** Stored bytes of a page. What comes in one go also has to be taken apart in one go, while everything else waits. */
const PAGE_BYTES = 1024 * 1024;

/** A page on its way. */
interface Reading {
  /** How often everything had been forgotten when it was asked for: what is older than that must not be found any more. */
  readonly era: number;
  readonly scope: string;
  readonly after: GlobalPosition;
  readonly limit: number;
  readonly bytes: number;
  readonly page: Promise<HeldPage>;
}

/** A consumer's place, as the reader keeps it. */
interface Place extends Reader {
  position: GlobalPosition;
  readonly filter: EventScope;
}

/** Creates the reader of one worker. */
export function createLogReader({ store, readAheadBytes, pageEvents = PAGE_EVENTS }: LogReaderOptions): LogReader {
  const places = new Set<Place>();
  const readings = new Set<Reading>();
  const shelf = createPageShelf(readAheadBytes, () => places);
  /** What the last page of a scope took, in bytes: the next one will take about as much. */
  const lastBytes = new Map<string, number>();
  let head: HeldPage | null = null;
  let era = 0;

  const expectedBytes = (scope: string) => lastBytes.get(scope) ?? PAGE_BYTES;

  function hasRoom(scope: string, after: GlobalPosition): boolean {
    let bytes = expectedBytes(scope);
    for (const reading of readings) bytes += reading.bytes;
    return shelf.makeRoom(scope, after, bytes);
  }

  /** Reads a page that others can use too, if there is room to keep it; else what was asked for. */
  function begin(place: Place, after: GlobalPosition, request: NextBatchRequest, shared: boolean): Reading {
    const { scope, filter } = place;
    const size = shared
      ? { limit: Math.max(pageEvents, request.limit), maxBytes: PAGE_BYTES }
      : { limit: request.limit, maxBytes: request.maxBytes };
    const asked = era;
    const read = async () => {
      const page = await store.readLog({ after, upTo: request.readable, ...size, scope: filter });
      const held = { after, page };
      lastBytes.set(scope, page.memoryBytes);
      if (asked === era) shelf.add(scope, held);
      return held;
    };
    const page = read().finally(() => readings.delete(reading));
    // Whoever waits for it is told; a page that was read ahead is asked for again when it is needed.
    page.catch(() => undefined);
    const bytes = shared ? expectedBytes(scope) : 0;
    const reading: Reading = { era: asked, scope, after, limit: size.limit, bytes, page };
    readings.add(reading);
    return reading;
  }

  async function pagesFor(place: Place, request: NextBatchRequest): Promise<Iterable<HeldPage>> {
    const { after } = request;
    const { scope } = place;
    for (;;) {
      if (shelf.holds(scope, after)) return shelf.from(scope, after);
      const reading = onTheWay(scope, after) ?? begin(place, after, request, hasRoom(scope, after));
      const held = await reading.page;
      if (!shelf.holds(scope, after) && reaches(held, after)) return [held];
    }
  }

  /** The reading that will hold what comes after the position, unless its bytes cut it before. */
  function onTheWay(scope: string, after: GlobalPosition): Reading | undefined {
    for (const reading of readings) {
      const isWithin = reading.after <= after && after < reading.after + BigInt(reading.limit);
      if (reading.era === era && reading.scope === scope && isWithin) return reading;
    }
    return undefined;
  }

  /** Reads on, unless the next batch is there or on its way. */
  function readAhead(place: Place, request: NextBatchRequest, through: GlobalPosition): void {
    const { scope } = place;
    let ready = 0;
    let end = through;
    for (const { page } of shelf.from(scope, through)) {
      ready += page.positions.length - indexAbove(page.positions, end);
      end = page.through;
      if (ready >= request.limit) return;
    }
    if (end >= request.readable || onTheWay(scope, end)) return;
    if (hasRoom(scope, end)) begin(place, end, request, true);
  }

  async function read(place: Place, request: NextBatchRequest): Promise<ReadBatch> {
    if (head && reaches(head, request.after)) return readHead(head, place, request);
    const slice = sliceBatch(await pagesFor(place, request), request);
    readAhead(place, request, slice.through);
    return { events: await eventsOf(slice), through: slice.through };
  }

  async function readHead(newest: HeldPage, { filter }: Place, request: NextBatchRequest): Promise<ReadBatch> {
    const slice = sliceBatch([newest], request);
    const events = await eventsOf(slice);
    return { events: events.filter((event) => isInScope(event, filter)), through: slice.through };
  }

  return {
    open({ aggregateTypes, eventTypes }) {
      const filter = { aggregateTypes, eventTypes };
      // It needs everything until it says where it stands.
      const place: Place = { scope: keyOf(filter), filter, position: -1n };
      places.add(place);
      return {
        moveTo(position) {
          place.position = position;
          shelf.tidy(place.scope);
        },
        read: (request) => read(place, request),
        close() {
          places.delete(place);
          shelf.tidy(place.scope);
        },
      };
    },

    async readAnew(request) {
      const page = await store.readLog(request);
      return { events: await page.events(), through: page.through };
    },
    offer(given) {
      head = given;
    },
    forget() {
      era += 1;
      head = null;
      shelf.clear();
    },
    async ended() {
      await Promise.allSettled([...readings].map(({ page }) => page));
    },
  };
}

function reaches({ after, page }: HeldPage, position: GlobalPosition): boolean {
  return after <= position && position < page.through;
}

function isInScope({ aggregateType, type }: RecordedEvent, { aggregateTypes, eventTypes }: EventScope): boolean {
  return (aggregateTypes?.includes(aggregateType) ?? true) && (eventTypes?.includes(type) ?? true);
}

/** The same for scopes that hold the same events. */
function keyOf({ aggregateTypes, eventTypes }: EventScope): string {
  return JSON.stringify([aggregateTypes, eventTypes].map((types) => types && [...new Set(types)].sort()));
}
