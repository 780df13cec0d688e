import type { BatchDeadLetters } from "./dead-letters.ts";
import type { GlobalPosition } from "./event.ts";

/** How far a consumer has come, and under whom. */
export interface Checkpoint {
  readonly consumer: string;
  /** All events in scope at or below it have been handled. Always a settled position. */
  readonly position: GlobalPosition;
  /** Raised by every take-over. Only who holds the present one can move the position. */
  readonly epoch: number;
  /** Worker that holds it; null when it was handed back. */
  readonly ownerId: string | null;
}

/** Who wants to take consumers over, and by what times it is judged. */
export interface Claim {
  readonly workerId: string;
  /**
   * `"assigned"`: only if the leader gave it to this worker (the normal way).
   * `"unowned"`: only if no live worker holds it, nor has been given it (a single run beside the fleet).
   */
  readonly claim: "assigned" | "unowned";
  /** How long the owner before keeps it once it was assigned elsewhere, to finish its batch, in milliseconds. */
  readonly graceMs: number;
  /** Silence after which the owner before counts as dead, in milliseconds. */
  readonly heartbeatTimeoutMs: number;
}

/** Who wants to take one consumer over. */
export interface AcquireRequest extends Claim {
  readonly consumer: string;
  /**
   * How long a batch of the owner before may take, in milliseconds. A live owner's batch that holds the checkpoint is ended only
   * when this time and five seconds have passed since the assignment moved; at the least, the grace and five seconds.
   */
  readonly batchTimeoutMs: number;
}

/** Who waits for consumers. */
export interface AcquirableRequest extends Claim {
  readonly consumers: readonly string[];
}

/** What came of it. Only `"acquired"` gives the right to run. */
export type AcquireResult =
  | { readonly outcome: "acquired"; readonly epoch: number; readonly position: GlobalPosition }
  /** Somebody else has it still (or its row is locked at the moment): try again. */
  | { readonly outcome: "held"; readonly ownerId: string | null }
  /** The assignment has gone elsewhere, or another live worker has it. */
  | { readonly outcome: "not-yours" }
  /** There is no checkpoint: create one with {@link CheckpointStore.createCheckpoint} and try again. */
  | { readonly outcome: "missing" };

/** A move of a checkpoint over events out of scope, or over events handled without a transaction. */
export interface CheckpointAdvance {
  readonly consumer: string;
  readonly epoch: number;
  readonly position: GlobalPosition;
}

/** Where consumers' positions are kept and handed from owner to owner. */
export interface CheckpointStore {
  /** Reads checkpoints, by name in no particular order; those that do not exist are missing from the answer. */
  readCheckpoints(consumers: readonly string[]): Promise<readonly Checkpoint[]>;
  /** Highest position of all checkpoints; `0n` when there are none. Settled, because only settled positions are ever saved. */
  greatestCheckpoint(): Promise<GlobalPosition>;
  /** Creates a checkpoint; leaves one that exists as it is. */
  createCheckpoint(consumer: string, position: GlobalPosition): Promise<void>;
  /**
   * Takes a consumer over if its former owner has let go of it, is dead, or has had its grace: raises the epoch, so that
   * nothing the former owner still does can commit. Waits at most 200 ms for a lock. What holds the lock is ended when the
   * former owner is dead, or a live one's batch is overdue: see {@link AcquireRequest.batchTimeoutMs}.
   */
  acquire(request: AcquireRequest): Promise<AcquireResult>;
  /**
   * Tells which of the consumers {@link CheckpointStore.acquire} would not refuse at this moment, those without a checkpoint
   * among them; in no particular order. One statement whatever their number, and no lock: who waits for many asks this, and
   * then only for those.
   */
  acquirable(request: AcquirableRequest): Promise<readonly string[]>;
  /**
   * Moves checkpoints forward, each only if its epoch is the present one; never backwards.
   *
   * @returns names of the consumers whose epoch was not the present one
   */
  advance(advances: readonly CheckpointAdvance[]): Promise<readonly string[]>;
  /** Hands consumers back, so that the next owner need not wait. Epochs that are not the present ones are left alone. */
  release(owned: readonly { readonly consumer: string; readonly epoch: number }[]): Promise<void>;
}

/** One batch of a consumer that commits together with its checkpoint. */
export interface Batch {
  readonly consumer: string;
  readonly epoch: number;
  /** How far its owner has come. A checkpoint that stands beyond it means that the epoch was used twice: fenced. */
  readonly from: GlobalPosition;
  /** Where the checkpoint stands after the commit. */
  readonly to: GlobalPosition;
  /** Time for the whole batch, in milliseconds; then the transaction is revoked and the call rejects. */
  readonly timeoutMs: number;
  /** Gives the batch up, as when its time is over. */
  readonly signal: AbortSignal;
}

/** Runs batches: one transaction each, with fence, effects and checkpoint in it. */
export interface BatchRunner<Tx = unknown> {
  /**
   * Opens a transaction, checks that the epoch is the present one and locks it, calls `work`, saves the checkpoint and
   * commits. Rejects once nothing of the transaction can happen any more, also when `work` never settles.
   * An error after the commit was sent leaves open whether it took place: read the checkpoint again.
   *
   * @throws {@link FencedError} when the consumer has been taken over
   * @throws {@link BatchTimeoutError} when `timeoutMs` ran out
   * @throws {@link TransactionHijackedError} when `work` ended the transaction itself
   */
  runBatch(batch: Batch, work: (tx: Tx, letters: BatchDeadLetters) => Promise<void>): Promise<void>;
  /** True for errors that pass by themselves and say nothing about the handler: deadlocks, lost connections, a server that shuts down. */
  isTransient(error: unknown): boolean;
}
