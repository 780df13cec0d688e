import {
  type AggregateRef,
  type Clock,
  type ControlSignal,
  type EventSource,
  type EventStore,
  isPupError,
  type Randomness,
  systemClock,
  systemRandomness,
  type WorkerStore,
} from "@pup/core";
import { appendEvents, readVersion } from "./append-events.ts";
import { acquire, advance, createCheckpoint, greatestCheckpoint, readCheckpoint, release } from "./checkpoints.ts";
import { type MemoryControlSession, openControlSession } from "./control-session.ts";
import { createDatabase, type Database, type MemorySignals } from "./database.ts";
import { MemoryConnectionError } from "./errors.ts";
import { eventLog } from "./event-log.ts";
import { aggregateKey, toRecordedEvent } from "./event-table.ts";
import {
  borrowedTransaction,
  lendTransaction,
  type MemoryTransaction,
  readCommittedTable,
} from "./memory-transaction.ts";
import { runBatch } from "./run-batch.ts";
import {
  beginTransaction,
  checkUsable,
  commitTransaction,
  loseTransactions,
  prepareTransaction,
  rollbackTransaction,
  type Transaction,
} from "./transaction.ts";

/** Settings of {@link createMemoryStore}. */
export interface MemoryStoreOptions {
  /** Time by which everything is measured. @defaultValue the system's */
  readonly clock?: Clock;
  /** Chance for event ids. @defaultValue the system's */
  readonly random?: Randomness;
  /** Wall-clock time when the clock is at 0: `createdAt` counts from it. @defaultValue now, by the system's clock */
  readonly startTime?: Date;
  /** Whether sessions can hold locks. `false` is how a store behaves behind a transaction pooler. @defaultValue `true` */
  readonly sessionLocks?: boolean;
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
export interface MemoryStore extends EventStore<MemoryTransaction>, WorkerStore<MemoryTransaction> {
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

/**
 * Creates a store in memory that behaves as PostgreSQL does where it matters to a worker: positions are drawn before the commit,
 * rows stay locked until the transaction ends, what was rolled back leaves holes. For tests; nothing is written anywhere.
 *
 * @example
 * ```ts
 * const store = createMemoryStore();
 * await store.append([{ aggregateType: "Order", aggregateId: "o-1", type: "OrderPlaced", payload: { total: 12 } }]);
 * ```
 */
export function createMemoryStore({
  clock = systemClock,
  random = systemRandomness,
  startTime = new Date(),
  sessionLocks = true,
  beforeOperation,
}: MemoryStoreOptions = {}): MemoryStore {
  const epochMs = startTime.getTime() - (clock === systemClock ? clock.now() : 0);
  return connect(createDatabase({ clock, random, epochMs, sessionLocks }), {
    beforeOperation,
    applicationName: "memory",
  });
}

interface Connection {
  readonly applicationName: string;
  readonly beforeOperation: MemoryStoreOptions["beforeOperation"];
}

function connect(database: Database, { applicationName, beforeOperation }: Connection): MemoryStore {
  const transactions = new Set<Transaction>();
  const sessions = new Set<MemoryControlSession>();
  let killed = false;

  const checkConnection = () => {
    if (killed) throw new MemoryConnectionError("This connection was killed.");
    if (!database.reachable) throw new MemoryConnectionError("The server cannot be reached.");
  };

  const run = async <Result>(operation: string, act: () => Result | Promise<Result>): Promise<Result> => {
    checkConnection();
    await beforeOperation?.(operation);
    checkConnection();
    return act();
  };

  const begin = (): Transaction => {
    if (database.recovering) throw new MemoryConnectionError("The server is a standby and takes no writes.");
    const transaction = beginTransaction(database, applicationName);
    transactions.add(transaction);
    transaction.ended.signal.addEventListener("abort", () => transactions.delete(transaction), { once: true });
    return transaction;
  };

  const inTransaction = async <Result>(work: (transaction: Transaction) => Promise<Result>): Promise<Result> => {
    const transaction = begin();
    try {
      const result = await work(transaction);
      commitTransaction(database, transaction);
      return result;
    } catch (error) {
      rollbackTransaction(database, transaction);
      throw error;
    }
  };

  const write = <Result>(operation: string, work: (transaction: Transaction) => Promise<Result>): Promise<Result> =>
    run(operation, () => inTransaction(work));

  const wake = () => database.signals.emit("signal:events", {});
  const passed = () => database.signals.emit("signal:control", { signal: "checkpoint-passed" });
  const away = (error: MemoryConnectionError) => {
    loseTransactions(database, error);
    for (const session of [...database.sessions]) session.terminate(error);
    database.signals.emit("server:away", { error });
  };

  return {
    append: (events, { tx, wake: wakes = true, ...options } = {}) =>
      run("append", async () => {
        const appendIn = async (transaction: Transaction) => {
          const result = await appendEvents(database, transaction, events, options);
          if (wakes && !result.duplicate && !transaction.afterCommit.includes(wake)) transaction.afterCommit.push(wake);
          return result;
        };
        if (!tx) return inTransaction(appendIn);
        const transaction = borrowedTransaction(tx);
        checkUsable(transaction);
        return appendIn(transaction);
      }),
    readStream: (
      { aggregateType, aggregateId }: AggregateRef,
      { fromVersion = 1, toVersion = Number.POSITIVE_INFINITY } = {},
      { tx } = {},
    ) =>
      run("readStream", () => {
        const transaction = tx ? borrowedTransaction(tx) : null;
        if (transaction) checkUsable(transaction);
        const key = aggregateKey({ aggregateType, aggregateId });
        const own = transaction?.events.filter((event) => aggregateKey(event) === key) ?? [];
        const events = [...database.events.ofAggregate({ aggregateType, aggregateId }), ...own]
          .filter((event) => event.aggregateVersion >= fromVersion && event.aggregateVersion <= toVersion)
          .map(toRecordedEvent);
        const version = readVersion(database, transaction, key);
        return { aggregateType, aggregateId, events, version, isEmpty: version === 0, length: events.length };
      }),
    latestPosition: () => run("latestPosition", () => database.events.highest()),

    readLog: (request) => run("readLog", () => eventLog.readLog(database, request)),
    scanPositions: (after) => run("scanPositions", () => eventLog.scanPositions(database, after)),
    inFlightAppenders: () => run("inFlightAppenders", () => eventLog.inFlightAppenders(database)),
    missingPositions: (after, upTo) => run("missingPositions", () => eventLog.missingPositions(database, after, upTo)),
    firstPositionSince: (time) => run("firstPositionSince", () => eventLog.firstPositionSince(database, time)),

    readCheckpoints: (consumers) =>
      run("readCheckpoints", () => {
        const found = consumers.map((consumer) => readCheckpoint(database, null, consumer));
        return found.filter((checkpoint) => checkpoint !== undefined).map((checkpoint) => ({ ...checkpoint }));
      }),
    greatestCheckpoint: () => run("greatestCheckpoint", () => greatestCheckpoint(database)),
    createCheckpoint: (consumer, position) =>
      write("createCheckpoint", (transaction) => createCheckpoint(database, transaction, consumer, position)),
    acquire: (request) => write("acquire", (transaction) => acquire(database, transaction, request)),
    advance: (advances) =>
      write("advance", (transaction) => {
        transaction.afterCommit.push(passed);
        return advance(database, transaction, advances);
      }),
    release: (owned) => write("release", (transaction) => release(database, transaction, owned)),

    runBatch: (batch, work) =>
      run("runBatch", () => {
        const transaction = begin();
        transaction.afterCommit.push(passed);
        return runBatch(database, transaction, batch, work);
      }),
    isTransient: (error) =>
      isPupError(error) && (error.code === "PUP_MEMORY_CONNECTION_LOST" || error.code === "PUP_MEMORY_DEADLOCK"),

    openControlSession: ({ signal } = {}) =>
      run("openControlSession", () => {
        signal?.throwIfAborted();
        const session = openControlSession(database, run);
        sessions.add(session);
        return session;
      }),
    checkSchema: () => run("checkSchema", () => undefined),

    begin: () =>
      run("begin", () => {
        const transaction = begin();
        return {
          tx: lendTransaction(database, transaction),
          commit: async () => commitTransaction(database, transaction),
          rollback: async () => rollbackTransaction(database, transaction),
          prepare: async () => prepareTransaction(database, transaction),
        };
      }),
    transaction: (work) => write("transaction", (transaction) => work(lendTransaction(database, transaction))),
    terminate: (tx) =>
      rollbackTransaction(
        database,
        borrowedTransaction(tx),
        new MemoryConnectionError("The connection was terminated."),
      ),
    wake,
    sendControl: (signal) => database.signals.emit("signal:control", { signal }),
    table: (name) => readCommittedTable(database, name),

    connect: ({ beforeOperation: before, applicationName: name = applicationName } = {}) =>
      connect(database, { applicationName: name, beforeOperation: before }),
    kill() {
      killed = true;
      const error = new MemoryConnectionError("This connection was killed.");
      for (const transaction of [...transactions]) rollbackTransaction(database, transaction, error);
      for (const session of sessions) session.kill();
    },
    get controlSessions() {
      return [...sessions].filter(({ isOpen }) => isOpen);
    },

    restart({ crash = false } = {}) {
      away(new MemoryConnectionError("The server was restarted."));
      database.run += 1;
      database.lastVirtualId = 0;
      if (crash) database.lastPosition = highestDurablePosition(database);
      database.signals.emit("server:back", {});
    },
    setReachable(reachable) {
      if (reachable === database.reachable) return;
      database.reachable = reachable;
      if (reachable) database.signals.emit("server:back", {});
      else away(new MemoryConnectionError("The server cannot be reached."));
    },
    setRecovering(recovering) {
      database.recovering = recovering;
    },
    signals: database.signals,
  };
}

function highestDurablePosition({ events, transactions }: Database): bigint {
  const prepared = [...transactions].flatMap((transaction) => transaction.events.map((event) => event.globalPosition));
  return prepared.reduce((highest, position) => (position > highest ? position : highest), events.highest());
}
