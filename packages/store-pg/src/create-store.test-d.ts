import { type Consumer, defineConsumer, type EventStore, type WorkerStore } from "@pup/core";
import type { Kysely, Transaction } from "kysely";
import type { Sql, TransactionSql } from "postgres";
import { describe, expectTypeOf, it } from "vitest";
import type { createPgStore, PgTransaction, PgTx } from "./index.ts";

interface Tables {
  readonly totals: { readonly orders: number };
}

declare const untyped: ReturnType<typeof createPgStore>;
declare const store: ReturnType<typeof createPgStore<Tables>>;
declare const events: Parameters<typeof store.append>[0];

describe("A store", () => {
  it("is what a worker needs, with the user's tables in its transactions", () => {
    expectTypeOf(store).toExtend<WorkerStore<PgTransaction<Tables>>>();
    expectTypeOf(untyped).toExtend<WorkerStore<PgTransaction>>();
    expectTypeOf(store).toExtend<EventStore<PgTx>>();
  });

  it("appends in transactions of every kind", () => {
    void store.append(events, { tx: {} as PgTransaction<Tables> });
    void store.append(events, { tx: {} as TransactionSql });
    void store.append(events, { tx: {} as Transaction<{ anything: { id: string } }> });
    void store.readStream({ aggregateType: "Order", aggregateId: "1" }, {}, { tx: {} as PgTransaction });
  });

  it("appends in nothing that is no transaction", () => {
    // @ts-expect-error a client is none
    void store.append(events, { tx: {} as Sql });
    // @ts-expect-error a Kysely outside of a transaction is none
    void store.append(events, { tx: {} as Kysely<Tables> });
  });

  it("knows the tables in a transaction of its own", () => {
    void store.transaction(async (tx) => {
      expectTypeOf(tx).toEqualTypeOf<PgTransaction<Tables>>();
      expectTypeOf(await tx.db.selectFrom("totals").select("orders").execute()).toEqualTypeOf<{ orders: number }[]>();
      // @ts-expect-error there is no such table
      void tx.db.selectFrom("invoices");
    });
  });

  it("gives consumers their transaction", () => {
    const consumer = defineConsumer<PgTransaction<Tables>>({
      name: "totals",
      async handle(_, { tx }) {
        expectTypeOf(tx).toEqualTypeOf<PgTransaction<Tables>>();
      },
    });
    expectTypeOf(consumer).toExtend<Consumer<PgTransaction<Tables>>>();
  });
});
