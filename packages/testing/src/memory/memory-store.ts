import type { Clock, ControlSignal, DeadLetters, EventSource, EventStore, Randomness, WorkerStore } from "@pup/core";
import type { MemoryControlSession } from "./control-session.ts";
import type { MemorySignals } from "./database.ts";
import type { MemoryTransaction } from "./memory-transaction.ts";

/** Settings of `createMemoryStore`. */
export interface MemoryStoreOptions {
  /** Time by which everything is measured. @defaultValue the system's */
  readonly clock?: Clock;
  /** Chance for event ids. @defaultValue the system's */
  readonly random?: Randomness;
  /** Wall-clock time when the clock is at 0: `createdAt` counts from it. @defaultValue now, by the system's clock */
  readonly startTime?: Date;
  /**
   * Whether sessions can hold locks. `false` is how a store behaves behind a transaction pooler: leaders hold a lease.
   *
   * @defaultValue `true`
   */
  readonly sessionLocks?: boolean;
  /** How long a leader's lease lasts that is not renewed, in milliseconds; only without `sessionLocks`. @defaultValue `10_000` */
  readonly leaseDurationMs?: number;
  /**
   * Called before every operation with its name (`"append"`, `"readLog"`, `"sync"`, …): to count, to delay (by a promise),
   * or to fail (by throwing).
   */
  readonly beforeOperation?: (operation: string) => unknown;
}

/** A transaction opened by hand: stays open until the test ends it. */
export interface OpenMemoryTransaction {
  /** To be handed to `append`, `readStream` or a handler. */
  readonly tx: MemoryTransaction;
  commit(): Promise<void>;
  /** Leaves a hole where positions had been drawn. */
  rollback(): Promise<void>;
  /** Prepares the transaction for two-phase commit. Afterwards it survives lost connections and restarts. */
  prepare(): Promise<void>;
}

/** One process's connection to an in-memory server. Several may be connected to the same one: see {@link MemoryStore.connect}. */
export interface MemoryStore extends EventStore<MemoryTransaction>, WorkerStore<MemoryTransaction>, DeadLetters {
  openControlSession(options?: { readonly signal?: AbortSignal }): Promise<MemoryControlSession>;

  /** Opens a transaction that the test ends itself. */
  begin(): Promise<OpenMemoryTransaction>;
  /** Runs `work` in a transaction: commits when it resolves, rolls back when it rejects. */
  transaction<Result>(work: (tx: MemoryTransaction) => Promise<Result>): Promise<Result>;
  /** Cuts the connection that carries a transaction: it rolls back, and whatever uses it rejects. */
  terminate(tx: MemoryTransaction): void;
  /** Tells dispatchers that there may be new events. */
  wake(): void;
  /** Sends dispatchers a control signal, as another worker would. */
  sendControl(signal: ControlSignal): void;
  /** Committed rows of a table that transactions have written, as a copy. */
  table<Row>(name: string): ReadonlyMap<string, Row>;

  /** Connects another process to the same server: what is done to one connection does not touch the other. */
  connect(options?: Pick<MemoryStoreOptions, "beforeOperation"> & { readonly applicationName?: string }): MemoryStore;
  /** Cuts this connection off for good, as when its process is killed: open transactions roll back, sessions are lost. */
  kill(): void;
  /** Control sessions open on this connection. */
  readonly controlSessions: readonly MemoryControlSession[];

  /**
   * Restarts the server: open transactions roll back, sessions are lost, prepared transactions survive under another identity.
   * After a crash, positions that were drawn and not committed are drawn again.
   */
  restart(options?: { readonly crash?: boolean }): void;
  /** Takes the server out of reach, as a stop or a cut network does, or brings it back. */
  setReachable(reachable: boolean): void;
  /** Turns the server into a standby, which takes no writes, or back. */
  setRecovering(recovering: boolean): void;
  /** What the server tells dispatchers. */
  readonly signals: EventSource<MemorySignals>;
}
