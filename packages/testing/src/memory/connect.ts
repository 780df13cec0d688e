import { type AggregateRef, checkInteger, isPupError } from "@pup/core";
import { appendEvents, readVersion } from "./append-events.ts";
import {
  acquirable,
  acquire,
  advance,
  createCheckpoint,
  greatestCheckpoint,
  readCheckpoint,
  release,
} from "./checkpoints.ts";
import { type MemoryControlSession, openControlSession } from "./control-session.ts";
import type { Database } from "./database.ts";
import {
  discardDeadLetters,
  listDeadLetters,
  lookForDeadLetters,
  nextDueDeadLetter,
  retryDeadLetters,
} from "./dead-letters.ts";
import { MemoryConnectionError } from "./errors.ts";
import { eventLog } from "./event-log.ts";
import { aggregateKey, toRecordedEvent } from "./event-table.ts";
import type { MemoryStore, MemoryStoreOptions } from "./memory-store.ts";
import { borrowedTransaction, lendTransaction, readCommittedTable } from "./memory-transaction.ts";
import { runBatch } from "./run-batch.ts";
import {
  beginTransaction,
  checkUsable,
  commitTransaction,
  loseTransactions,
  prepareTransaction,
  renamePrepared,
  rollbackTransaction,
  type Transaction,
} from "./transaction.ts";

/** Largest version of an aggregate: PostgreSQL's `integer`. */
const MAX_VERSION = 2 ** 31 - 1;

/** One process's connection. */
export interface Connection {
  readonly applicationName: string;
  readonly beforeOperation: MemoryStoreOptions["beforeOperation"];
}

/** Connects to an in-memory server. */
export function connect(database: Database, { applicationName, beforeOperation }: Connection): MemoryStore {
  const transactions = new Set<Transaction>();
  const sessions = new Set<MemoryControlSession>();
  let killed = false;

  const checkConnection = () => {
    if (killed) throw new MemoryConnectionError("This connection was killed.");
    if (!database.reachable) throw new MemoryConnectionError("The server cannot be reached.");
  };

  const run = async <Result>(operation: string, act: () => Result | Promise<Result>): Promise<Result> => {
    checkConnection();
    if (beforeOperation) {
      await beforeOperation(operation);
      checkConnection();
    }
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
  const tellDue = () => database.signals.emit("signal:control", { signal: "dead-letters-due" });
  const passed = () => database.signals.emit("signal:control", { signal: "checkpoint-passed" });
  const away = (error: MemoryConnectionError) => {
    loseTransactions(database, error);
    for (const session of [...database.sessions]) session.terminate(error);
    database.signals.emit("server:away", { error });
  };

  return {
    append: (events, { tx, wake: wakes = true, ...options } = {}) =>
      run("append", async () => {
        const inCallersTransaction = tx !== undefined;
        const appendIn = async (transaction: Transaction) => {
          const result = await appendEvents(database, transaction, events, { ...options, inCallersTransaction });
          if (wakes && !result.duplicate && !transaction.afterCommit.includes(wake)) transaction.afterCommit.push(wake);
          return result;
        };
        if (!tx) return inTransaction(appendIn);
        return appendIn(borrowedTransaction(tx));
      }),
    readStream: (
      { aggregateType, aggregateId }: AggregateRef,
      { fromVersion = 1, toVersion = MAX_VERSION } = {},
      { tx } = {},
    ) =>
      run("readStream", () => {
        checkInteger("fromVersion", fromVersion, { min: 0 });
        checkInteger("toVersion", toVersion, { min: 0 });
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
    scanPositions: (after, bring) => run("scanPositions", () => eventLog.scanPositions(database, after, bring)),
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
    acquirable: (request) => run("acquirable", () => acquirable(database, request)),
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

    listDeadLetters: (query = {}) => run("listDeadLetters", () => listDeadLetters(database, query)),
    retryDeadLetters: (selection) =>
      write("retryDeadLetters", async (transaction) => {
        const marked = await retryDeadLetters(database, transaction, selection);
        if (marked > 0) transaction.afterCommit.push(tellDue);
        return marked;
      }),
    discardDeadLetters: (selection) =>
      write("discardDeadLetters", async (transaction) => {
        const { discarded, due } = await discardDeadLetters(database, transaction, selection);
        if (due > 0) transaction.afterCommit.push(tellDue);
        return discarded;
      }),
    lookForDeadLetters: (consumer) => run("lookForDeadLetters", () => lookForDeadLetters(database, consumer)),
    nextDueDeadLetter: (consumer) => run("nextDueDeadLetter", () => nextDueDeadLetter(database, consumer)),

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
      renamePrepared(database);
      if (crash) database.lastPosition = highestDurablePosition(database);
      // Whoever restarts a server that is out of reach brings nothing back.
      if (database.reachable) database.signals.emit("server:back", {});
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
