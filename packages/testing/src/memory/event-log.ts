import type {
  EventLog,
  EventScope,
  GlobalPosition,
  InFlightAppenders,
  LogPage,
  PageLimits,
  PositionRange,
  PositionScan,
  ReadLogRequest,
  ServerState,
} from "@pup/core";
import type { Database } from "./database.ts";
import { type StoredEvent, toRecordedEvent } from "./event-table.ts";

/** Positions that one scan looks at. Small, so that tests see scans end in the middle of the log. */
const SCAN_LENGTH = 1_000;

/** Reading of the log; each method is one statement with a snapshot of its own. */
export const eventLog = { readLog, scanPositions, inFlightAppenders, missingPositions, firstPositionSince } satisfies {
  [Method in Exclude<keyof EventLog, "latestPosition">]: (
    database: Database,
    ...request: Parameters<EventLog[Method]>
  ) => Awaited<ReturnType<EventLog[Method]>>;
};

function readLog(database: Database, { after, upTo, limit, maxBytes, scope = {} }: ReadLogRequest): LogPage {
  const page: StoredEvent[] = [];
  let bytes = 0;
  for (const event of database.events.above(after)) {
    if (event.globalPosition > upTo) break;
    if (!isInScope(event, scope)) continue;
    bytes += sizeOf(event);
    if (page.length === limit || (page.length > 0 && bytes > maxBytes)) return cutPage(page);
    page.push(event);
  }
  return page.length === limit ? cutPage(page) : toPage(page, upTo);
}

function cutPage(page: readonly StoredEvent[]): LogPage {
  return toPage(page, (page.at(-1) as StoredEvent).globalPosition);
}

function toPage(page: readonly StoredEvent[], through: GlobalPosition): LogPage {
  const sizes = page.map(sizeOf);
  return {
    positions: page.map(({ globalPosition }) => globalPosition),
    sizes,
    memoryBytes: sizes.reduce((sum, size) => sum + size, 0),
    through,
    events: async (from, to) => page.slice(from, to).map(toRecordedEvent),
  };
}

function sizeOf({ payloadText, metadataText }: StoredEvent): number {
  return Buffer.byteLength(payloadText) + Buffer.byteLength(metadataText);
}

function isInScope(event: StoredEvent, { aggregateTypes, eventTypes }: EventScope): boolean {
  return (aggregateTypes?.includes(event.aggregateType) ?? true) && (eventTypes?.includes(event.type) ?? true);
}

function scanPositions(database: Database, after: GlobalPosition, bring?: PageLimits): PositionScan {
  const run: StoredEvent[] = [];
  let contiguous = after;
  let hole = false;
  let bytes = 0;
  for (const event of database.events.above(after)) {
    hole = event.globalPosition !== contiguous + 1n;
    bytes += sizeOf(event);
    if (hole || isFull(run, bytes, bring)) break;
    contiguous = event.globalPosition;
    run.push(event);
  }
  const page = bring && toPage(run, contiguous);
  return { contiguous, hole, highest: database.events.highest(), ...(page && { page }), ...serverState(database) };
}

function isFull(run: readonly StoredEvent[], bytes: number, bring: PageLimits | undefined): boolean {
  if (!bring) return run.length === SCAN_LENGTH;
  return run.length === bring.limit || (run.length > 0 && bytes > bring.maxBytes);
}

function inFlightAppenders(database: Database): InFlightAppenders {
  const appenders = [...database.transactions]
    .filter(({ appender }) => appender)
    .map(({ id, state, pid, applicationName, beganAtMs }) => ({
      id,
      prepared: state === "prepared",
      pid,
      applicationName: state === "prepared" ? "" : applicationName,
      ageMs: state === "prepared" ? null : database.clock.now() - beganAtMs,
    }));
  return { appenders, ...serverState(database) };
}

function serverState({ recovering, run }: Database): ServerState {
  return { recovering, serverRun: String(run) };
}

function missingPositions(database: Database, after: GlobalPosition, upTo: GlobalPosition): readonly PositionRange[] {
  const ranges: PositionRange[] = [];
  let expected = after + 1n;
  for (const { globalPosition } of database.events.above(after)) {
    if (globalPosition > upTo) break;
    if (globalPosition > expected) ranges.push({ first: expected, last: globalPosition - 1n });
    expected = globalPosition + 1n;
  }
  if (expected <= upTo) ranges.push({ first: expected, last: upTo });
  return ranges;
}

function firstPositionSince({ events }: Database, time: Date): GlobalPosition | null {
  for (const event of events.above(0n)) if (event.createdAtMs >= time.getTime()) return event.globalPosition;
  return null;
}
