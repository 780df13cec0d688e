import { type Consumer, defineConsumer, type EventScope } from "@pup/core";
import type { PgStore, PgTransaction } from "@pup/store-pg";
import type { Generated } from "kysely";
import { leaveTrail } from "../support/trail.ts";

/** The rig's own tables, for Kysely. */
export interface RigTables {
  trail: { seq: Generated<string>; consumer: string; position: string; epoch: string };
}

/** A batch's transaction, with the rig's tables. */
type Tx = PgTransaction<RigTables>;

/**
 * Scopes of the consumers, by name. The last event of a run, and those that show that a fail-over is over, are in all of them:
 * of type `Marker`, one in each of the aggregate types named here.
 */
export const scopes = {
  "all, one by one": {},
  "all in batches": {},
  "all with Kysely": {},
  orders: { aggregateTypes: ["Order"] },
  payments: { eventTypes: ["Paid", "Marker"] },
  "paid invoices": { aggregateTypes: ["Invoice"], eventTypes: ["Paid", "Marker"] },
  // Nearly nothing is in scope: its checkpoint moves over what is not.
  rarities: { eventTypes: ["Rare", "Marker"] },
} as const satisfies Record<string, EventScope>;

/** A consumer whose effects commit with its checkpoint. */
export type RigConsumer = keyof typeof scopes;

export const transactional = Object.keys(scopes) as readonly RigConsumer[];

/** The consumer without a transaction: its effects happen at least once, and are counted apart. */
export const outside = "outside";

/** Aggregate types that a marker is needed in, to be in every scope. */
export const markedTypes = ["Order", "Invoice"] as const;

/** All consumers. Each leaves one row for every event that it is given, in one of the ways in which people write handlers. */
export function createConsumers(store: PgStore<RigTables>): Consumer<Tx>[] {
  const single = (name: RigConsumer) =>
    defineConsumer<Tx>({
      name,
      ...scopes[name],
      handle: (event, { tx, epoch }) => leaveTrail(tx, name, [event], epoch),
    });
  const bulk = (name: RigConsumer) =>
    defineConsumer<Tx>({
      name,
      ...scopes[name],
      handleBatch: (events, { tx, epoch }) => leaveTrail(tx, name, events, epoch),
    });
  const withKysely = (name: RigConsumer) =>
    defineConsumer<Tx>({
      name,
      ...scopes[name],
      async handleBatch(events, { tx, epoch }) {
        const rows = events.map(({ globalPosition }) => ({
          consumer: name,
          position: String(globalPosition),
          epoch: String(epoch),
        }));
        await tx.db.insertInto("trail").values(rows).execute();
      },
    });

  return [
    single("all, one by one"),
    bulk("all in batches"),
    withKysely("all with Kysely"),
    bulk("orders"),
    single("payments"),
    bulk("paid invoices"),
    single("rarities"),
    defineConsumer({
      name: outside,
      transaction: "none",
      handleBatch: (events, { epoch }) => store.transaction((tx) => leaveTrail(tx, outside, events, epoch)),
    }),
  ];
}
