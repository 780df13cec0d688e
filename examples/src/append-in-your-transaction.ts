// Events that commit together with your own rows, or not at all: in a transaction of pup's, of postgres.js' or of Kysely's.
import { createPgStore, migrate } from "@pup/store-pg";
import { type Generated, Kysely, PostgresDialect } from "kysely";
import pg from "pg";
import postgres from "postgres";

const connection = process.env.DATABASE_URL ?? "postgres://localhost/postgres";
await migrate({ connection });
const store = createPgStore<{ invoices: { number: Generated<number>; cents: number } }>({ connection });
await store.transaction(
  ({ sql }) => sql`create table if not exists invoices (number serial primary key, cents integer)`,
);
const written = (number: number, cents: number) => [
  { aggregateType: "Invoice", aggregateId: String(number), type: "InvoiceWritten", payload: { cents } },
];

// pup's own, which is both: postgres.js as tx.sql and Kysely as tx.db.
await store.transaction(async (tx) => {
  const { number } = await tx.db
    .insertInto("invoices")
    .values({ cents: 100 })
    .returning("number")
    .executeTakeFirstOrThrow();
  await store.append(written(number, 100), { tx, expectedVersion: "no-stream" });
});

// One of a postgres.js client that you have already.
const sql = postgres(connection);
await sql.begin(async (tx) => {
  const [invoice] = await tx<[{ number: number }]>`insert into invoices (cents) values (200) returning number`;
  await store.append(written(invoice.number, 200), { tx, expectedVersion: "no-stream" });
});

// One of Kysely's, whatever the driver below it.
const db = new Kysely<{ invoices: { number: Generated<number>; cents: number } }>({
  dialect: new PostgresDialect({ pool: new pg.Pool({ connectionString: connection }) }),
});
await db.transaction().execute(async (tx) => {
  const { number } = await tx
    .insertInto("invoices")
    .values({ cents: 300 })
    .returning("number")
    .executeTakeFirstOrThrow();
  await store.append(written(number, 300), { tx, expectedVersion: "no-stream" });
});

// What is rolled back leaves neither an invoice nor an event.
await sql
  .begin(async (tx) => {
    const [invoice] = await tx<[{ number: number }]>`insert into invoices (cents) values (400) returning number`;
    await store.append(written(invoice.number, 400), { tx, expectedVersion: "no-stream" });
    throw new Error("changed my mind");
  })
  .catch((error: Error) => console.log(error.message));

const rows = await sql`select cents, payload from invoices join events on aggregate_id = number::text order by number`;
for (const { cents, payload } of rows) console.log(`an invoice over ${cents}, an event over ${payload.cents}`);

await Promise.all([store.close(), sql.end(), db.destroy()]);
