import type { GlobalPosition, RecordedEvent } from "./event.ts";

/** Which events a reader wants; both lists narrow. An absent list lets everything through. */
export interface EventScope {
  readonly aggregateTypes?: readonly string[] | undefined;
  readonly eventTypes?: readonly string[] | undefined;
}

/** What to read of the log. */
export interface ReadLogRequest {
  /** Read above this position. */
  readonly after: GlobalPosition;
  /**
   * Read up to this position, inclusive. Must be settled, or events are lost for good:
   * a lower position can still commit after a higher one was read.
   */
  readonly upTo: GlobalPosition;
  /** Most events in one page. */
  readonly limit: number;
  /** Bytes of stored payloads after which a page ends; the first event always fits. */
  readonly maxBytes: number;
  readonly scope?: EventScope | undefined;
}

/**
 * A page of the log, in position order.
 *
 * Events are made when they are asked for, anew each time: readers that share a page share none of its objects, and whatever one
 * does to an event, no other one sees it.
 */
export interface LogPage {
  /** Where its events stand. */
  readonly positions: readonly GlobalPosition[];
  /** Stored bytes of each event's payload and metadata: what `maxBytes` counts. */
  readonly sizes: readonly number[];
  /** Memory that the page takes, in bytes, roughly: payloads can be stored much smaller than they are. */
  readonly memoryBytes: number;
  /**
   * How far the page reaches: all events in scope at or below it (and above `after`) are in the page.
   * The last event's position where the page was cut, `upTo` where it was not.
   */
  readonly through: GlobalPosition;
  /**
   * Makes the events from index `from` up to `to`, which is excluded. Where that takes long, others get their turn in between.
   *
   * @param from - 0 when left out
   * @param to - the number of events when left out
   */
  events(from?: number, to?: number): Promise<RecordedEvent[]>;
}

/** Whose word an answer is: what was remembered about one run of a server says nothing about another. */
export interface ServerState {
  /** The server is a standby or recovers from a crash: nothing it says about transactions in flight can be trusted. */
  readonly recovering: boolean;
  /** Identity of the server's run; another one after a restart or a fail-over. */
  readonly serverRun: string;
}

/** What lies above a position, seen in one snapshot. */
export interface PositionScan extends ServerState {
  /** End of the run without holes that begins right after the position asked for (that position itself when there is none). */
  readonly contiguous: GlobalPosition;
  /** True when the run ended at a missing position; false when it ended with the log or with the length of one scan. */
  readonly hole: boolean;
  /** Highest position visible. */
  readonly highest: GlobalPosition;
  /**
   * The events of the run, of every scope, as far as `contiguous`; only where they were asked for. They are complete although
   * nothing has been waited for: in the snapshot in which they were read, no position among them was missing.
   */
  readonly page?: LogPage | undefined;
}

/** How much a page may hold. */
export type PageLimits = Pick<ReadLogRequest, "limit" | "maxBytes">;

/** A transaction that may have drawn positions which are not visible yet. */
export interface InFlightAppender {
  /** Identity for as long as the transaction runs unprepared; the server's virtual transaction id. */
  readonly id: string;
  /** The transaction was prepared for two-phase commit: no session runs it any more, and it may stay for long. */
  readonly prepared: boolean;
  /** Server process that runs it; null when prepared. */
  readonly pid: number | null;
  /** Application name of its session, or the name under which it was prepared; empty when unknown. */
  readonly applicationName: string;
  /** How long it has been open, in milliseconds by the database's clock; null when unknown. */
  readonly ageMs: number | null;
}

/** The transactions in flight, and whose word that is. */
export interface InFlightAppenders extends ServerState {
  readonly appenders: readonly InFlightAppender[];
}

/** Positions from `first` to `last`, both inclusive. */
export interface PositionRange {
  readonly first: GlobalPosition;
  readonly last: GlobalPosition;
}

/** The reading half of the log: what the settled position is found with, and pages below it. */
export interface EventLog {
  /** Reads a page. Starts a new statement, hence sees everything that committed before the call. */
  readLog(request: ReadLogRequest): Promise<LogPage>;
  /** Position of the newest visible event; `0n` when the log is empty. */
  latestPosition(): Promise<GlobalPosition>;
  /**
   * Looks at the positions above `after`.
   *
   * @param bring - brings the events of the run along; then the look goes no further than these limits
   */
  scanPositions(after: GlobalPosition, bring?: PageLimits): Promise<PositionScan>;
  /** Lists the transactions that have written to the log and have not ended. */
  inFlightAppenders(): Promise<InFlightAppenders>;
  /** Positions in `(after, upTo]` that no event has: their appends were rolled back (or the events deleted). */
  missingPositions(after: GlobalPosition, upTo: GlobalPosition): Promise<readonly PositionRange[]>;
  /** Position of the first event, in log order, that was recorded at `time` or later; null when there is none. */
  firstPositionSince(time: Date): Promise<GlobalPosition | null>;
}
