import {
  type AcquirableRequest,
  type AcquireRequest,
  type AcquireResult,
  type Checkpoint,
  type CheckpointAdvance,
  type Claim,
  checkName,
  type GlobalPosition,
} from "@pup/core";
import type { Database } from "./database.ts";
import { MemoryConnectionError } from "./errors.ts";
import { eachRow, lockRow, readRow, rollbackTransaction, rowName, type Transaction, writeRow } from "./transaction.ts";

const CHECKPOINTS = "consumer_checkpoints";

/** Longest name of a consumer, in bytes. */
const MAX_NAME_BYTES = 255;

/** How long a take-over waits for the checkpoint's row, in milliseconds. */
const LOCK_TIMEOUT_MS = 200;

/** How long after the time of its last batch a live owner may still hold the row, in milliseconds. */
const STUCK_AFTER_MS = 5_000;

export function readCheckpoint(database: Database, tx: Transaction | null, consumer: string): Checkpoint | undefined {
  return readRow<Checkpoint>(database, tx, CHECKPOINTS, consumer);
}

export function greatestCheckpoint(database: Database): GlobalPosition {
  let greatest = 0n;
  for (const { position } of eachRow<Checkpoint>(database, null, CHECKPOINTS)) {
    if (position > greatest) greatest = position;
  }
  return greatest;
}

/** Locks a checkpoint until the transaction ends, and reads it as it then stands. */
export async function lockCheckpoint(
  database: Database,
  transaction: Transaction,
  consumer: string,
): Promise<Checkpoint | undefined> {
  await lockRow(database, transaction, CHECKPOINTS, consumer);
  return readCheckpoint(database, transaction, consumer);
}

/** Writes a checkpoint that the transaction has locked. */
export function writeCheckpoint(transaction: Transaction, checkpoint: Checkpoint): void {
  writeRow(transaction, CHECKPOINTS, checkpoint.consumer, checkpoint);
}

export async function createCheckpoint(
  database: Database,
  transaction: Transaction,
  consumer: string,
  position: GlobalPosition,
): Promise<void> {
  checkName("consumer", consumer, MAX_NAME_BYTES);
  // What is there is left alone, also by whoever would have to wait for it.
  if (readCheckpoint(database, transaction, consumer)) return;
  const existing = await lockCheckpoint(database, transaction, consumer);
  if (!existing) writeCheckpoint(transaction, { consumer, position, epoch: 0, ownerId: null });
}

export async function advance(
  database: Database,
  transaction: Transaction,
  advances: readonly CheckpointAdvance[],
): Promise<readonly string[]> {
  const fenced: string[] = [];
  for (const { consumer, epoch, position } of advances.toSorted(byConsumer)) {
    // A row of another epoch is not asked for: its owner may hold it for as long as a batch takes.
    const isPresent = readCheckpoint(database, null, consumer)?.epoch === epoch;
    const checkpoint = isPresent ? await lockCheckpoint(database, transaction, consumer) : undefined;
    if (checkpoint?.epoch !== epoch) fenced.push(consumer);
    else if (position > checkpoint.position) writeCheckpoint(transaction, { ...checkpoint, position });
  }
  return fenced;
}

export async function release(
  database: Database,
  transaction: Transaction,
  owned: readonly { readonly consumer: string; readonly epoch: number }[],
): Promise<void> {
  for (const { consumer, epoch } of owned.toSorted(byConsumer)) {
    // As with moves: what is not the owner's any more may be held by somebody else for long.
    if (readCheckpoint(database, null, consumer)?.epoch !== epoch) continue;
    const checkpoint = await lockCheckpoint(database, transaction, consumer);
    if (checkpoint?.epoch === epoch) writeCheckpoint(transaction, { ...checkpoint, ownerId: null });
  }
}

export async function acquire(
  database: Database,
  transaction: Transaction,
  request: AcquireRequest,
): Promise<AcquireResult> {
  const { consumer, workerId } = request;
  const seen = readCheckpoint(database, null, consumer);
  if (!seen) return { outcome: "missing" };
  const refusal = refuse(database, request, seen);
  if (refusal) return refusal;

  if (!(await lockInTime(database, transaction, request))) return { outcome: "held", ownerId: seen.ownerId };
  // The row may have changed hands during the wait.
  const checkpoint = readCheckpoint(database, transaction, consumer);
  if (!checkpoint) return { outcome: "missing" };
  const lateRefusal = refuse(database, request, checkpoint);
  if (lateRefusal) return lateRefusal;

  const epoch = checkpoint.epoch + 1;
  writeCheckpoint(transaction, { ...checkpoint, epoch, ownerId: workerId });
  return { outcome: "acquired", epoch, position: checkpoint.position };
}

export function acquirable(database: Database, { consumers, ...claim }: AcquirableRequest): readonly string[] {
  return consumers.filter((consumer) => {
    const checkpoint = readCheckpoint(database, null, consumer);
    return !checkpoint || refuse(database, claim, checkpoint) === null;
  });
}

function refuse(database: Database, request: Claim, { consumer, ownerId }: Checkpoint): AcquireResult | null {
  const { workerId, claim, graceMs, heartbeatTimeoutMs } = request;
  const isRival = (id: string | null) => id !== null && id !== workerId && isAlive(database, id, heartbeatTimeoutMs);
  const assignment = database.assignments.get(consumer);

  if (claim === "unowned") {
    const isFree = !isRival(ownerId) && !isRival(assignment?.workerId ?? null);
    return isFree ? null : { outcome: "not-yours" };
  }
  if (assignment?.workerId !== workerId) return { outcome: "not-yours" };
  const graceIsOver = database.clock.now() - assignment.assignedAtMs >= graceMs;
  return isRival(ownerId) && !graceIsOver ? { outcome: "held", ownerId } : null;
}

function isAlive({ workers, clock }: Database, workerId: string, heartbeatTimeoutMs: number): boolean {
  const worker = workers.get(workerId);
  return worker !== undefined && clock.now() - worker.heartbeatAtMs <= heartbeatTimeoutMs;
}

/** @returns false when the row was still locked after {@link LOCK_TIMEOUT_MS} */
async function lockInTime(database: Database, transaction: Transaction, request: AcquireRequest): Promise<boolean> {
  const { consumer } = request;
  const timeUp = new AbortController();
  const cancel = database.clock.after(LOCK_TIMEOUT_MS, () => {
    const blocker = database.locks.holderOf(rowName(CHECKPOINTS, consumer)) as Transaction | null;
    if (blocker && mayEndBlocker(database, request))
      rollbackTransaction(database, blocker, new MemoryConnectionError("Terminated as a blocker."));
    else timeUp.abort(new Error("The row stayed locked."));
  });
  try {
    await lockRow(database, transaction, CHECKPOINTS, consumer, timeUp.signal);
    return true;
  } catch (error) {
    if (timeUp.signal.aborted) return false;
    throw error;
  } finally {
    cancel();
  }
}

/** A dead owner's transaction may hold the row for ever. A live one is given the time of a whole batch. */
function mayEndBlocker(database: Database, request: AcquireRequest): boolean {
  const { consumer, workerId, claim, graceMs, batchTimeoutMs, heartbeatTimeoutMs } = request;
  const ownerId = readCheckpoint(database, null, consumer)?.ownerId ?? null;
  if (ownerId === null || ownerId === workerId) return false;
  if (!isAlive(database, ownerId, heartbeatTimeoutMs)) return true;
  const assignedAtMs = database.assignments.get(consumer)?.assignedAtMs ?? Number.POSITIVE_INFINITY;
  const isOverdue = database.clock.now() - assignedAtMs >= Math.max(graceMs, batchTimeoutMs) + STUCK_AFTER_MS;
  return claim === "assigned" && isOverdue;
}

function byConsumer(a: { readonly consumer: string }, b: { readonly consumer: string }): number {
  return a.consumer < b.consumer ? -1 : 1;
}
