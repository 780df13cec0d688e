// A read model through Kysely, its tables typed: in the consumer, in its transaction, and where it is read.
import { createWorker } from "@pup/coordinator";
import { defineConsumer } from "@pup/core";
import { createPollDispatcher } from "@pup/dispatch-poll";
import { createPgStore, migrate, type PgTransaction } from "@pup/store-pg";

/** What the application has in the database beside pup's tables. */
interface Tables {
  stock: { product: string; pieces: number };
}

const connection = process.env.DATABASE_URL ?? "postgres://localhost/postgres";
await migrate({ connection });
const store = createPgStore<Tables>({ connection });
await store.transaction(({ db }) =>
  db.schema
    .createTable("stock")
    .ifNotExists()
    .addColumn("product", "text", (column) => column.primaryKey())
    .addColumn("pieces", "integer", (column) => column.notNull())
    .execute(),
);

const stock = defineConsumer<PgTransaction<Tables>>({
  name: "stock.v1",
  aggregateTypes: ["Product"],
  async handle({ type, aggregateId: product, payload }, { tx }) {
    const { pieces } = payload as { pieces: number };
    const change = type === "Sold" ? -pieces : pieces;
    await tx.db
      .insertInto("stock")
      .values({ product, pieces: change })
      .onConflict((conflict) =>
        conflict.column("product").doUpdateSet(({ eb }) => ({ pieces: eb("stock.pieces", "+", change) })),
      )
      .execute();
  },
});

const lamp = { aggregateType: "Product", aggregateId: "lamp" };
await store.append([
  { ...lamp, type: "Delivered", payload: { pieces: 10 } },
  { ...lamp, type: "Sold", payload: { pieces: 3 } },
]);
await createWorker({ store, dispatcher: createPollDispatcher(), consumers: [stock] }).runOnce();

const rows = await store.transaction(({ db }) => db.selectFrom("stock").selectAll().orderBy("product").execute());
for (const { product, pieces } of rows) console.log(`${product}: ${pieces} pieces`);
await store.close();
