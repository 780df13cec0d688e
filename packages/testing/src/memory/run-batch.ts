import { type Batch, type BatchDeadLetters, BatchTimeoutError, FencedError } from "@pup/core";
import { lockCheckpoint, writeCheckpoint } from "./checkpoints.ts";
import type { Database } from "./database.ts";
import { openBatchDeadLetters } from "./dead-letters.ts";
import { lendTransaction, type MemoryTransaction } from "./memory-transaction.ts";
import { checkUsable, commitTransaction, rollbackTransaction, type Transaction } from "./transaction.ts";

/** Runs one fenced batch in a transaction that has just begun. Settles when nothing of it can happen any more. */
export async function runBatch(
  database: Database,
  transaction: Transaction,
  batch: Batch,
  work: (tx: MemoryTransaction, letters: BatchDeadLetters) => Promise<void>,
): Promise<void> {
  const { consumer, epoch, from, to, timeoutMs, signal } = batch;
  const giveUp = (reason: Error) => rollbackTransaction(database, transaction, reason);
  const onAbort = () => giveUp(signal.reason);
  const cancelTimeout = database.clock.after(timeoutMs, () => giveUp(new BatchTimeoutError(consumer, timeoutMs)));
  signal.addEventListener("abort", onAbort, { once: true });

  try {
    signal.throwIfAborted();
    const checkpoint = await lockCheckpoint(database, transaction, consumer);
    if (checkpoint?.epoch !== epoch || checkpoint.position > from) throw new FencedError(consumer, epoch);
    const letters = openBatchDeadLetters(database, transaction, consumer);
    await Promise.race([whenEnded(transaction), work(lendTransaction(database, transaction), letters)]);
    checkUsable(transaction);
    writeCheckpoint(transaction, { ...checkpoint, position: to });
    commitTransaction(database, transaction);
  } catch (error) {
    rollbackTransaction(database, transaction);
    throw error;
  } finally {
    cancelTimeout();
    signal.removeEventListener("abort", onAbort);
  }
}

/** Rejects with the reason when the transaction is ended from outside; never resolves. */
function whenEnded({ ended: { signal } }: Transaction): Promise<never> {
  const ended = new Promise<never>((_, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
  });
  // When the work throws at once, nobody gets to wait for this.
  ended.catch(() => undefined);
  return ended;
}
