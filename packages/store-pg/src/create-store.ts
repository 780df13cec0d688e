import {
  type AppendOptions,
  type ControlSignal,
  type DeadLetters,
  type EventStore,
  type NewEvent,
  systemClock,
  type WorkerStore,
} from "@pup/core";
import { createAcquirableCheckpoints } from "./consumers/acquirable-checkpoints.ts";
import { createAcquireCheckpoint } from "./consumers/acquire-checkpoint.ts";
import { createAdvanceCheckpoints } from "./consumers/advance-checkpoints.ts";
import { createCreateCheckpoint } from "./consumers/create-checkpoint.ts";
import { createGreatestCheckpoint } from "./consumers/greatest-checkpoint.ts";
import { isTransient } from "./consumers/is-transient.ts";
import { createReadCheckpoints } from "./consumers/read-checkpoints.ts";
import { createReleaseCheckpoints } from "./consumers/release-checkpoints.ts";
import { createRunBatch } from "./consumers/run-batch.ts";
import { createDiscardDeadLetters } from "./dead-letters/discard-dead-letters.ts";
import { createDueDeadLetters } from "./dead-letters/due-dead-letters.ts";
import { createListDeadLetters } from "./dead-letters/list-dead-letters.ts";
import { createRetryDeadLetters } from "./dead-letters/retry-dead-letters.ts";
import { type AppendRequest, createAppendEvents } from "./events/append-events.ts";
import { toAppendInput } from "./events/append-input.ts";
import { createAppendLanes } from "./events/append-lanes.ts";
import { executeIn, type PgTx } from "./events/caller-transaction.ts";
import { createFirstPositionSince } from "./events/first-position-since.ts";
import { createInFlightAppenders } from "./events/in-flight-appenders.ts";
import { createLatestPosition } from "./events/latest-position.ts";
import { createMissingPositions } from "./events/missing-positions.ts";
import { createReadLog } from "./events/read-log.ts";
import { createReadStream } from "./events/read-stream.ts";
import { createScanPositions } from "./events/scan-positions.ts";
import { createSendAppendGroup } from "./events/send-append-group.ts";
import { type Execute, executeWith } from "./execute.ts";
import { createGate } from "./gate.ts";
import { createNotifier } from "./notifier.ts";
import { APPLICATION_PREFIX, type PgStoreOptions, resolvePgStoreOptions } from "./options.ts";
import { RightsMissingError } from "./schema/check-rights.ts";
import { createCheckSchema, schemaMissing } from "./schema/check-schema.ts";
import { afterCommitOf } from "./session/after-commit.ts";
import { createSessions } from "./session/create-sessions.ts";
import type { RunTransaction } from "./session/transaction.ts";
import type { PgTransaction } from "./session/transaction-facade.ts";
import { INSUFFICIENT_PRIVILEGE, sqlStateOf, UNDEFINED_SCHEMA, UNDEFINED_TABLE } from "./sql-state.ts";
import { createOpenControlSession, type PgControlSession } from "./workers/open-control-session.ts";

/** All that pup keeps in PostgreSQL, in one object. */
export interface PgStore<UserTables = unknown>
  extends EventStore<PgTx>,
    WorkerStore<PgTransaction<UserTables>>,
    DeadLetters {
  openControlSession(options?: { readonly signal?: AbortSignal | undefined }): Promise<PgControlSession>;
  /**
   * Runs `work` in a transaction of the store's: appends in it with `{ tx }`, effects through `tx.sql` and `tx.db`. Commits
   * when `work` resolves and no statement has failed.
   */
  readonly transaction: RunTransaction<UserTables>;
  /** Tells workers that there may be new events: after the commit of appends made with `wake: false`. Never throws. */
  wake(): void;
  /** Lets what is running finish, then closes every connection of the store. Twice is fine. */
  close(): Promise<void>;
}

/** How long calls under way may go on when the store is closed, in milliseconds. */
const CLOSE_GRACE_MS = 5_000;

/**
 * Creates a store. Nothing is connected before something is asked of it.
 *
 * @example
 * ```ts
 * const store = createPgStore({ connection: "postgres://localhost/shop" });
 * await store.append([{ aggregateType: "Order", aggregateId: "order-42", type: "OrderPlaced", payload: { total: 12 } }]);
 * await store.close();
 * ```
 *
 * @throws {@link InvalidOptionError} when an option has a value that cannot work
 * @throws {@link InvalidIdentifierError} when PostgreSQL cannot keep the name of a schema, table or channel as it is
 */
export function createPgStore<UserTables = unknown>(options: PgStoreOptions): PgStore<UserTables> {
  const { tables, notify, election, leaseDurationMs, groupAppends, logger, ...sessionsOptions } =
    resolvePgStoreOptions(options);
  const sessions = createSessions<UserTables>({ ...sessionsOptions, logger });
  const { transaction } = sessions;
  const execute = explainTables(executeWith(sessions.sql));

  const appendEvents = createAppendEvents(tables);
  const readStream = createReadStream(tables);
  const readLog = createReadLog(tables);
  const latestPosition = createLatestPosition(tables);
  const scanPositions = createScanPositions(tables);
  const inFlightAppenders = createInFlightAppenders(tables);
  const missingPositions = createMissingPositions(tables);
  const firstPositionSince = createFirstPositionSince(tables);
  const readCheckpoints = createReadCheckpoints(tables);
  const greatestCheckpoint = createGreatestCheckpoint(tables);
  const createCheckpoint = createCreateCheckpoint(tables);
  const acquirableCheckpoints = createAcquirableCheckpoints(tables);
  const advanceCheckpoints = createAdvanceCheckpoints(tables);
  const releaseCheckpoints = createReleaseCheckpoints(tables);
  const listDeadLetters = createListDeadLetters(tables);
  const retryDeadLetters = createRetryDeadLetters(tables);
  const discardDeadLetters = createDiscardDeadLetters(tables);
  const dueDeadLetters = createDueDeadLetters(tables);
  const checkSchema = createCheckSchema(tables);
  const notifier =
    notify &&
    createNotifier({
      notify: (payload) => execute("SELECT pg_notify($1::text, $2::text)", [notify.channel, payload]),
      minIntervalMs: notify.minIntervalMs,
      clock: systemClock,
      logger,
    });

  const lanes = createAppendLanes({
    execute,
    appendEvents,
    sendGroup: createSendAppendGroup(tables),
    maxSlow: Math.max(1, sessionsOptions.maxStatements - 1),
    maxWaitMs: sessionsOptions.statementTimeoutMs,
  });
  const appendOwn = groupAppends ? lanes.append : (request: AppendRequest) => appendEvents(execute, request);

  const { pass, close: closeGate } = createGate();
  const acquire = createAcquireCheckpoint({ tables, execute, transaction, applicationPrefix: APPLICATION_PREFIX });
  const runBatch = createRunBatch({ tables, execute, transaction });
  const openControlSession = createOpenControlSession({
    tables,
    openSession: (settings) => sessions.openSession(settings),
    channel: notify?.channel,
    election,
    leaseDurationMs,
    applicationPrefix: APPLICATION_PREFIX,
  });

  async function append(events: readonly NewEvent[], { tx, expectedVersion, wake = true }: AppendOptions<PgTx> = {}) {
    const input = toAppendInput(events);
    if (tx !== undefined) {
      // Of a transaction of ours we see the commit. In one of the caller's the notification has to be part of it.
      const afterCommit = afterCommitOf(tx);
      const channel = wake && !afterCommit ? notify?.channel : undefined;
      const run = explainTables(executeIn(tx));
      const result = await appendEvents(run, { input, expectedVersion, inCallersTransaction: true, channel });
      if (wake && notifier && !result.duplicate) afterCommit?.add(notifier.wake);
      return result;
    }
    const result = await pass(() => appendOwn({ input, expectedVersion, inCallersTransaction: false }));
    if (wake && !result.duplicate) notifier?.wake();
    return result;
  }

  /** Workers hear of it at once, if they listen; else they ask before long. */
  async function tellDue(due: number): Promise<void> {
    if (due === 0 || !notify) return;
    const signal: ControlSignal = "dead-letters-due";
    await execute("SELECT pg_notify($1::text, $2::text)", [notify.channel, signal]).catch((error: unknown) => {
      logger.debug({ err: error }, "workers could not be told that dead letters are due");
    });
  }

  async function closeAll(): Promise<void> {
    const allEnded = await closeGate(CLOSE_GRACE_MS);
    await notifier?.close();
    await sessions.close(allEnded ? {} : { timeoutMs: 0 });
  }

  let closing: Promise<void> | undefined;
  return {
    append,
    // What belongs to a caller's transaction is let through to the end: that transaction may itself be awaited.
    readStream: async (aggregate, range, { tx } = {}) =>
      tx === undefined
        ? pass(() => readStream(execute, aggregate, range))
        : readStream(explainTables(executeIn(tx)), aggregate, range),

    readLog: (request) => pass(() => readLog(execute, request)),
    latestPosition: () => pass(() => latestPosition(execute)),
    scanPositions: (after, bring) => pass(() => scanPositions(execute, after, bring)),
    inFlightAppenders: () => pass(() => inFlightAppenders(execute)),
    missingPositions: (after, upTo) => pass(() => missingPositions(execute, after, upTo)),
    firstPositionSince: (time) => pass(() => firstPositionSince(execute, time)),

    readCheckpoints: (consumers) => pass(() => readCheckpoints(execute, consumers)),
    greatestCheckpoint: () => pass(() => greatestCheckpoint(execute)),
    createCheckpoint: (consumer, position) => pass(() => createCheckpoint(execute, consumer, position)),
    acquire: (request) => pass(() => acquire(request)),
    acquirable: (request) => pass(() => acquirableCheckpoints(execute, request)),
    advance: (advances) => pass(() => advanceCheckpoints(execute, advances)),
    release: (owned) => pass(() => releaseCheckpoints(execute, owned)),
    runBatch: (batch, work) => pass(() => runBatch(batch, work)),
    isTransient,

    listDeadLetters: (query = {}) => pass(() => listDeadLetters(execute, query)),
    retryDeadLetters: (selection) =>
      pass(async () => {
        const marked = await retryDeadLetters(execute, selection);
        await tellDue(marked);
        return marked;
      }),
    discardDeadLetters: (selection) =>
      pass(async () => {
        const { discarded, due } = await discardDeadLetters(transaction, selection);
        await tellDue(due);
        return discarded;
      }),
    lookForDeadLetters: (consumer) => pass(() => dueDeadLetters.look(execute, consumer)),
    nextDueDeadLetter: (consumer) => pass(() => dueDeadLetters.next(execute, consumer)),

    openControlSession: (settings) => pass(() => openControlSession(settings)),
    checkSchema: () => pass(() => checkSchema(execute)),
    transaction: (work, settings) => pass(() => transaction(work, settings)),
    wake: () => notifier?.wake(),
    close() {
      closing ??= closeAll();
      return closing;
    },
  };
}

/** Whoever forgot the migrations, or a role's rights, learns what to do, wherever it shows first. */
function explainTables(execute: Execute): Execute {
  return async (text, values) => {
    try {
      return await execute(text, values);
    } catch (error) {
      const state = sqlStateOf(error);
      if (state === UNDEFINED_TABLE || state === UNDEFINED_SCHEMA) {
        throw schemaMissing("Expected pup's tables, but one that is needed is not there.", { cause: error });
      }
      if (state === INSUFFICIENT_PRIVILEGE) {
        const said = (error as Error).message;
        throw new RightsMissingError(`Expected the role to have the rights for this, but: ${said}.`, { cause: error });
      }
      throw error;
    }
  };
}
