import {
  type Batch,
  type BatchDeadLetters,
  BatchTimeoutError,
  FencedError,
  isPupError,
  TransactionHijackedError,
} from "@pup/core";
import { createBatchDeadLetters } from "../dead-letters/batch-dead-letters.ts";
import { type Execute, executeWith } from "../execute.ts";
import type { Tables } from "../schema/tables.ts";
import type { RunTransaction } from "../session/transaction.ts";
import type { PgTransaction } from "../session/transaction-facade.ts";
import { transactionMarker } from "../session/transaction-marker.ts";
import { createConnectionCheck } from "./connection-check.ts";

/** Runs one fenced batch in a transaction. */
export type RunBatch<Tables> = (
  batch: Batch,
  work: (tx: PgTransaction<Tables>, letters: BatchDeadLetters) => Promise<void>,
) => Promise<void>;

export interface RunBatchOptions<UserTables> {
  readonly tables: Tables;
  /** Runs single statements. */
  readonly execute: Execute;
  readonly transaction: RunTransaction<UserTables>;
}

/**
 * What a server whose client has stopped answering allows a batch beyond its time, in milliseconds. The client's own limit
 * comes first whenever the client is there to keep it.
 */
const SERVER_GRACE_MS = 5_000;

/**
 * Makes the batches of a store. Four statements beside the handler's own: BEGIN and the fence, sent together, the checkpoint,
 * COMMIT.
 *
 * The fence locks the checkpoint's row, so that from there to the end nobody else can become the owner.
 */
export function createRunBatch<UserTables>(options: RunBatchOptions<UserTables>): RunBatch<UserTables> {
  const { consumerCheckpoints } = options.tables;
  const canCheckConnection = createConnectionCheck(options.execute);
  const openDeadLetters = createBatchDeadLetters(options.tables);

  async function fence({ sql }: PgTransaction<UserTables>, marker: Marker, batch: Batch, checksConnection: boolean) {
    const limit = String(batch.timeoutMs + SERVER_GRACE_MS);
    const [row] = await sql<{ epoch: string; position: string; pid: number }[]>`
      SELECT epoch::text AS epoch, last_position::text AS position, pg_backend_pid() AS pid, ${marker.set} AS mark,
        set_config('idle_in_transaction_session_timeout', ${limit}, true) AS idle,
        set_config('statement_timeout', ${limit}, true) AS busy
        ${checksConnection ? sql`, set_config('client_connection_check_interval', '500ms', true) AS gone` : sql``}
      FROM ${sql.unsafe(consumerCheckpoints)}
      WHERE consumer_name = ${batch.consumer}
      FOR NO KEY UPDATE`;
    if (!row || Number(row.epoch) !== batch.epoch || BigInt(row.position) > batch.from) {
      throw new FencedError(batch.consumer, batch.epoch);
    }
    return { backendPid: row.pid };
  }

  async function saveCheckpoint({ sql }: PgTransaction<UserTables>, marker: Marker, { consumer, epoch, to }: Batch) {
    const saved = await sql`
      UPDATE ${sql.unsafe(consumerCheckpoints)}
      SET last_position = ${String(to)}::bigint, updated_at = now()
      WHERE consumer_name = ${consumer} AND epoch = ${String(epoch)}::bigint AND ${marker.intact}`;
    if (saved.count !== 1) {
      throw new TransactionHijackedError(
        `The handler of consumer "${consumer}" ended the transaction of its batch, or changed its checkpoint: ` +
          "what it did before that may be committed, while the checkpoint is not.",
      );
    }
  }

  return async (batch, work) => {
    const checksConnection = await canCheckConnection();
    const { timeoutMs, signal } = batch;
    let marker: Marker | undefined;
    let letters: BatchDeadLetters | undefined;
    const workOn = (tx: PgTransaction<UserTables>) => work(tx, letters as BatchDeadLetters);
    try {
      await options.transaction(workOn, {
        timeoutMs,
        signal,
        onBegin: (tx) => {
          marker = transactionMarker(tx.sql);
          // Through the transaction's own handle: the work's is closed, or broken by the work, before ours.
          letters = openDeadLetters(executeWith(tx.sql), batch.consumer);
          return fence(tx, marker, batch, checksConnection);
        },
        beforeCommit: (tx) => saveCheckpoint(tx, marker as Marker, batch),
      });
    } catch (error) {
      throw translateTimeout(error, batch);
    }
  };
}

function translateTimeout(error: unknown, { consumer, timeoutMs }: Batch): unknown {
  const isTimeout = isPupError(error) && error.code === "PUP_TRANSACTION_TIMEOUT";
  return isTimeout ? new BatchTimeoutError(consumer, timeoutMs, { cause: error }) : error;
}

type Marker = ReturnType<typeof transactionMarker>;
