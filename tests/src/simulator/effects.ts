import type { GlobalPosition } from "@pup/core";
import type { MemoryStore, MemoryTransaction } from "@pup/testing";

/** What a consumer's transactions have committed. */
export interface Applied {
  /** How many events. */
  readonly events: number;
  /** Sum of their positions: who exchanges one for another is noticed too. */
  readonly sum: bigint;
}

/** Name of the table in which consumers count what they have applied: consumer name to {@link Applied}. */
const TABLE = "applied";

const NOTHING: Applied = { events: 0, sum: 0n };

/** What each transaction has applied, if it commits. */
const inTransaction = new WeakMap<MemoryTransaction, GlobalPosition[]>();

/** Applies an event: what a consumer's handler is there for. */
export async function applyEvent(tx: MemoryTransaction, consumer: string, position: GlobalPosition): Promise<void> {
  await tx.table<Applied>(TABLE).update(consumer, ({ events, sum } = NOTHING) => ({
    events: events + 1,
    sum: sum + position,
  }));
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
  return (consumer) => rows.get(consumer) ?? NOTHING;
}
