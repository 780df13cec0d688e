import { randomUUID } from "node:crypto";
import type { Fragment, ISql } from "postgres";

/** Fragments for the first and the last statement of a transaction, which together tell that it is still the same one. */
export interface TransactionMarker {
  /** An expression that sets the mark. */
  readonly set: Fragment;
  /** A condition that holds while the transaction lasts in which the mark was set. */
  readonly intact: Fragment;
}

/**
 * Marks a transaction with a setting that ends with it. A COMMIT hidden behind another statement in one text cannot be
 * refused by reading; afterwards the mark is gone, also when another transaction was begun in its place.
 *
 * @example
 * ```ts
 * const marker = transactionMarker(tx.sql);
 * await tx.sql`select ${marker.set}`;
 * const [row] = await tx.sql`select ${marker.intact} as intact`;
 * ```
 */
export function transactionMarker(sql: ISql): TransactionMarker {
  const mark = randomUUID();
  return {
    set: sql`set_config('pup.transaction', ${mark}, true)`,
    intact: sql`(current_setting('pup.transaction', true) is not distinct from ${mark})`,
  };
}
