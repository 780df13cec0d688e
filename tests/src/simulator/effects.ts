import type { GlobalPosition } from "@pup/core";
import type { MemoryStore, MemoryTransaction } from "@pup/testing";

/**
 * Everything that a consumer's transactions have committed, as one number: how many events, and the sum of their positions, so
 * that who exchanges one for another is noticed too. See {@link weightOf}.
 */
export type Applied = bigint;

/** Name of the table in which consumers add up what they have applied, by consumer name. */
const TABLE = "applied";

/** Room for the number of events, in bits. */
const COUNT_BITS = 20n;

/** What one event adds. */
export function weightOf(position: GlobalPosition): Applied {
  return (position << COUNT_BITS) + 1n;
}

/** Number of events. */
export function countOf(applied: Applied): bigint {
  return BigInt.asUintN(Number(COUNT_BITS), applied);
}

/** What each transaction has applied, if it commits. */
const inTransaction = new WeakMap<MemoryTransaction, GlobalPosition[]>();

/** Applies an event: what a consumer's handler is there for. */
export async function applyEvent(tx: MemoryTransaction, consumer: string, position: GlobalPosition): Promise<void> {
  await tx.table<Applied>(TABLE).update(consumer, (before = 0n) => before + weightOf(position));
  const applied = inTransaction.get(tx);
  if (applied) applied.push(position);
  else inTransaction.set(tx, [position]);
}

/** Positions that were applied in a transaction, in order. */
export function appliedIn(tx: MemoryTransaction): readonly GlobalPosition[] {
  return inTransaction.get(tx) ?? [];
}

/** What has been committed, by consumer name. */
export function readApplied(observer: MemoryStore): (consumer: string) => Applied {
  const rows = observer.table<Applied>(TABLE);
  return (consumer) => rows.get(consumer) ?? 0n;
}
