import {
  type Clock,
  type ControlSignal,
  createEvents,
  type EventSink,
  type EventSource,
  type Randomness,
} from "@pup/core";
import { createEventTable, type EventTable } from "./event-table.ts";
import { createRowLocks, type RowLocks } from "./row-locks.ts";
import type { Transaction } from "./transaction.ts";

/** What the in-memory server tells its dispatchers. */
export type MemorySignals = {
  /** Events were committed, or somebody asked for a wake-up. */
  "signal:events": Record<string, never>;
  /** Something happened that other workers should look at. */
  "signal:control": { signal: ControlSignal };
  /** The server cannot be reached from now on. */
  "server:away": { error: Error };
  /** The server can be reached again. */
  "server:back": Record<string, never>;
};

/** Row of a registered worker. */
export interface WorkerRow {
  readonly consumers: readonly string[];
  heartbeatAtMs: number;
}

/** Row of an assignment. */
export interface AssignmentRow {
  readonly workerId: string;
  readonly assignedAtMs: number;
}

/** A control session as the server sees it. */
export interface ServerSession {
  workerId: string | null;
  heartbeatTimeoutMs: number | null;
  readonly livenessLocks: Set<string>;
  /** Ends the session from the server's side. */
  terminate(error: Error): void;
}

/** Row of the leadership: one for both ways to decide it. */
export interface LeaderRow {
  term: number;
  /** Where a lock decides: the session that holds it. */
  holder: ServerSession | null;
  sinceMs: number;
  /** Where a lease decides: whose it is, and how long. */
  ownerId: string | null;
  expiresAtMs: number;
}

/** Everything that outlives a single connection: the in-memory counterpart of a database server. */
export interface Database {
  readonly clock: Clock;
  readonly random: Randomness;
  /** Wall-clock time at the clock's zero, in milliseconds since 1970. */
  readonly epochMs: number;
  readonly events: EventTable;
  /** Committed rows of every other table: table name to key to row. */
  readonly rows: Map<string, Map<string, unknown>>;
  readonly locks: RowLocks;
  /** Transactions that have not ended, prepared ones included. */
  readonly transactions: Set<Transaction>;
  readonly signals: EventSource<MemorySignals> & EventSink<MemorySignals>;
  readonly sessionLocks: boolean;
  readonly leaseDurationMs: number;

  readonly workers: Map<string, WorkerRow>;
  readonly assignments: Map<string, AssignmentRow>;
  readonly sessions: Set<ServerSession>;
  readonly leader: LeaderRow;

  /** Last position drawn, committed or not. */
  lastPosition: bigint;
  /** How often the server has been started. */
  run: number;
  recovering: boolean;
  reachable: boolean;
  lastVirtualId: number;
  lastPreparedId: number;
  lastPid: number;
}

/** Creates an empty database. */
export function createDatabase(
  options: Pick<Database, "clock" | "random" | "epochMs" | "sessionLocks" | "leaseDurationMs">,
): Database {
  return {
    ...options,
    events: createEventTable(),
    rows: new Map(),
    locks: createRowLocks(),
    transactions: new Set(),
    signals: createEvents<MemorySignals>(),
    workers: new Map(),
    assignments: new Map(),
    sessions: new Set(),
    leader: { term: 0, holder: null, sinceMs: 0, ownerId: null, expiresAtMs: 0 },
    lastPosition: 0n,
    run: 1,
    recovering: false,
    reachable: true,
    lastVirtualId: 0,
    lastPreparedId: 0,
    lastPid: 1_000,
  };
}
