import type { ControlSession, DeadLetters, EventStore, WorkerStore } from "@pup/core";

/** A transaction that stays open until the test ends it. */
export interface HeldTransaction<Tx> {
  readonly tx: Tx;
  commit(): Promise<void>;
  rollback(): Promise<void>;
  /** Prepares it for two-phase commit; `commit` and `rollback` then end it all the same. Absent where the server does not allow it. */
  prepare?(): Promise<void>;
}

/** What the suites for stores need: a store without events, checkpoints and workers, and means to disturb it. */
export interface StoreSetup<Tx> {
  /** Must be able to run three batches at once. */
  readonly store: EventStore<Tx> & WorkerStore<Tx> & DeadLetters;
  /** Another process's store on the same database. */
  readonly other: EventStore<Tx> & WorkerStore<Tx> & DeadLetters;
  /** Opens a transaction of a caller, in which appends can be held open. */
  begin(): Promise<HeldTransaction<Tx>>;
  /** Lets time pass for whatever the store measures time by: turns a clock, or waits. */
  elapse(durationMs: number): Promise<void>;
  /** Cuts the connection that carries a batch's transaction. */
  loseTransaction(tx: Tx): Promise<void>;
  /** How long a leader whose session is lost keeps the leadership. Absent where it is free at once. */
  readonly leaseDurationMs?: number;
  /** Cuts a control session's connection. */
  loseSession(session: ControlSession): Promise<void>;
  /** Ends a batch's transaction from inside its handler. Absent where a handler has no means to. */
  hijack?(tx: Tx): Promise<unknown>;
  /** Restarts the server. Absent where that would disturb others. */
  restart?(): Promise<void>;
  /** Closes everything that was opened. */
  dispose(): Promise<void>;
}
