import { setImmediate as nextTurn } from "node:timers/promises";
import { inspect } from "node:util";
import type { NewEvent } from "@pup/core";
import { Kysely, type KyselyPlugin, ParseJSONResultsPlugin, PostgresDialect } from "kysely";
import postgres from "postgres";
import { afterEach, beforeEach, describe, expect, it, onTestFinished } from "vitest";
import type { PgStore } from "../create-store.ts";
import {
  holdKyselyTransaction,
  holdPostgresTransaction,
  holdPupTransaction,
  openKysely,
} from "../test-support/hold-transaction.ts";
import { type TestSchema, useSchemas } from "../test-support/open-schema.ts";
import { createPgPool } from "../test-support/pg-pool.ts";
import { untilWaiting } from "../test-support/waiting.ts";

const openSchema = useSchemas();
let schema: TestSchema;
let store: PgStore;

beforeEach(async () => {
  schema = await openSchema({ max: 30 });
  store = schema.openStore();
});
afterEach(() => schema[Symbol.asyncDispose]());

const order = { aggregateType: "Order", aggregateId: "order-1" };
const event = (fields: Partial<NewEvent> = {}): NewEvent => ({
  ...order,
  type: "OrderPlaced",
  payload: { total: 12 },
  ...fields,
});
const idOf = (number: number) => `0190a000-0000-7000-8000-${String(number).padStart(12, "0")}`;

describe("An append in a transaction of the caller", () => {
  it("goes on with the versions of the stream, with ids of its own and without", async () => {
    await store.append([event(), event()]);

    const versions = await store.transaction(async (tx) => [
      (await store.append([event({ id: idOf(1) })], { tx })).toVersion,
      (await store.append([event()], { tx, expectedVersion: 3 })).toVersion,
      (await store.append([event({ id: idOf(2) }), event({ id: idOf(3) })], { tx, expectedVersion: 4 })).toVersion,
      (await store.append([event({ id: idOf(4), aggregateId: "new" })], { tx, expectedVersion: "no-stream" }))
        .toVersion,
    ]);

    expect(versions).toEqual([3, 4, 6, 1]);
    expect((await store.readStream(order)).events.map(({ aggregateVersion }) => aggregateVersion)).toEqual([
      1, 2, 3, 4, 5, 6,
    ]);
  });

  it.each(["postgres.js", "Kysely"] as const)("keeps what it had to send out of the errors of %s", async (driver) => {
    await schema.sql`ALTER TABLE events ADD CHECK (event_type <> 'Refused')`;
    const refused = event({ type: "Refused", payload: { word: "secret" } });
    const kysely = openKysely(schema.url);
    onTestFinished(() => kysely.destroy());
    const held = driver === "Kysely" ? await holdKyselyTransaction(kysely) : await holdPostgresTransaction(schema.sql);

    const error: unknown = await store.append([refused], { tx: held.tx }).catch((reason: unknown) => reason);
    await held.rollback();

    expect(error).toMatchObject({ code: "23514" });
    expect(inspect(error, { depth: 10, showHidden: true })).not.toContain("secret");
  });

  it("that was refused leaves nothing that a later one would stumble over", async () => {
    await store.append([event({ id: idOf(1) })]);
    const other = { aggregateId: "order-2" };
    await store.transaction(async (tx) => {
      await expect(store.append([event({ id: idOf(1), ...other })], { tx })).rejects.toMatchObject({
        code: "PUP_DUPLICATE_EVENT_ID",
      });
    });

    expect(await store.readStream({ ...order, ...other })).toMatchObject({ version: 0, isEmpty: true });
    expect(await store.append([event(other)], { expectedVersion: "no-stream" })).toMatchObject({ toVersion: 1 });
  });

  it("that was not awaited leaves nothing half done when the transaction commits under it", async () => {
    const held = await holdPostgresTransaction(schema.sql);
    await store.append([event()], { tx: held.tx });
    const returning = Promise.withResolvers<void>();
    let late: Promise<unknown> = Promise.resolve();
    const committing = store.transaction(async (tx) => {
      late = store.append([event({ id: idOf(1) })], { tx }).catch((error: unknown) => error);
      await untilWaiting(schema.sql, 1);
      returning.resolve();
    });
    // One turn later, COMMIT has been sent behind the statement that waits.
    await returning.promise;
    await nextTurn();
    await held.rollback();
    await committing;

    expect(await late).toMatchObject({ code: "PUP_TRANSACTION_OVER" });
    expect(await schema.sql`SELECT aggregate_version FROM aggregate_heads`).toEqual([{ aggregate_version: 0 }]);
    expect(await store.append([event({ id: idOf(1) })], { expectedVersion: 0 })).toMatchObject({ toVersion: 1 });
  });

  it("lets a serialization failure through where the caller asked for more than READ COMMITTED", async () => {
    await store.append([event()]);

    const outcome = schema.sql.begin("isolation level repeatable read", async (tx) => {
      await tx`SELECT 1`;
      await store.append([event()]);
      await store.append([event()], { tx });
    });

    await expect(outcome).rejects.toMatchObject({ code: "40001" });
    expect((await store.readStream(order)).length).toBe(2);
  });

  it("works inside a savepoint, and goes with it", async () => {
    await store.transaction(async (tx) => {
      await store.append([event()], { tx });
      const undone = tx.savepoint(async (inner) => {
        await store.append([event()], { tx: inner });
        throw new Error("no");
      });
      await expect(undone).rejects.toThrow("no");
      await tx.savepoint((inner) => store.append([event()], { tx: inner }));
    });

    expect((await store.readStream(order)).length).toBe(2);
  });

  it("goes past the plugins of a Kysely, whatever they do to results", async () => {
    const shout: KyselyPlugin = {
      transformQuery: ({ node }) => node,
      transformResult: async ({ result }) => ({ ...result, rows: result.rows.map(upperCaseKeys) }),
    };
    const db = new Kysely<unknown>({
      dialect: new PostgresDialect({ pool: createPgPool(schema.url) }),
      plugins: [new ParseJSONResultsPlugin(), shout],
    });
    onTestFinished(() => db.destroy());

    const stream = await db.transaction().execute(async (tx) => {
      await store.append([event({ id: idOf(1) })], { tx });
      return store.readStream(order, {}, { tx });
    });

    expect(stream.events).toMatchObject([{ id: idOf(1), globalPosition: 1n, payload: { total: 12 } }]);
  });

  it.each([
    ["camel case", postgres.camel],
    ["Pascal case", postgres.pascal],
    ["kebab case", postgres.kebab],
  ])("understands clients that rename columns to %s", async (_, transform) => {
    const client = postgres(schema.url, { max: 1, transform, onnotice: () => undefined });
    onTestFinished(() => client.end());

    const results = await client.begin(async (tx) => [
      await store.append([event({ id: idOf(1) })], { tx }),
      await store.append([event({ id: idOf(1) })], { tx }),
      await store.readStream(order, {}, { tx }),
    ]);

    expect(results).toMatchObject([
      { events: [{ globalPosition: 1n, aggregateVersion: 1 }] },
      { duplicate: true, events: [{ globalPosition: 1n }] },
      { events: [{ aggregateType: "Order", traceId: null }] },
    ]);
  });

  it("understands clients that read numbers and times their own way", async () => {
    const types = {
      everything: { to: 20, from: [20, 21, 23, 701, 1184, 3802], serialize: String, parse: (text: string) => text },
    };
    const client = postgres(schema.url, { max: 1, types, onnotice: () => undefined });
    onTestFinished(() => client.end());

    const [appended, stream] = await client.begin(async (tx) => [
      await store.append([event()], { tx }),
      await store.readStream(order, {}, { tx }),
    ]);

    expect(appended.toVersion).toBe(1);
    expect(stream.events).toEqual(appended.events);
  });

  it.each([
    ["a client outside of a transaction", () => schema.sql],
    ["a client of its own making", () => ({ query: () => undefined })],
    ["text", () => "tx"],
    ["null", () => null],
  ])("refuses %s", async (_, make) => {
    await expect(store.append([event()], { tx: make() as never })).rejects.toMatchObject({
      code: "PUP_INVALID_OPTION",
      message: expect.stringContaining("`tx`"),
    });
  });

  it("refuses a Kysely outside of a transaction", async () => {
    const db = new Kysely<unknown>({
      dialect: new PostgresDialect({ pool: createPgPool(schema.url) }),
    });
    onTestFinished(() => db.destroy());

    await expect(store.append([event()], { tx: db as never })).rejects.toMatchObject({ code: "PUP_INVALID_OPTION" });
  });

  it("that is over refuses, and nothing is written", async () => {
    const held = await holdPupTransaction(store);
    await held.commit();

    await expect(store.append([event()], { tx: held.tx })).rejects.toMatchObject({ code: "PUP_TRANSACTION_OVER" });
    expect((await store.readStream(order)).isEmpty).toBe(true);
  });
});

function upperCaseKeys(row: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(row).map(([key, value]) => [key.toUpperCase(), value]));
}
