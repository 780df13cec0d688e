import type { NewEvent } from "@pup/core";
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from "vitest";
import type { PgStore } from "../create-store.ts";
import { createStatementLog } from "../test-support/count-statements.ts";
import { holdPostgresTransaction } from "../test-support/hold-transaction.ts";
import { type TestSchema, useSchemas } from "../test-support/open-schema.ts";
import { untilWaiting } from "../test-support/waiting.ts";
import type { PgTx } from "./caller-transaction.ts";

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
const range = (length: number) => Array.from({ length }, (_, index) => index);
const idOf = (number: number) => `0190a000-0000-7000-8000-${String(number).padStart(12, "0")}`;

describe("The statements of an append", () => {
  const log = createStatementLog();
  const counting = () => schema.openStore({ connection: { url: schema.url, ...log.options } });

  it("are one: always the same for one event, and always the same for more", async () => {
    const counted = counting();
    const texts = new Set<string>();
    for (const length of [1, 1, 2, 10, 100]) {
      const sent = await log.during(() => counted.append(range(length).map(() => event())));
      expect(sent).toHaveLength(1);
      for (const text of sent) texts.add(text);
    }

    expect(texts.size).toBe(2);
  });

  it.each([
    ["a new stream", { expectedVersion: "no-stream" }, 0],
    ["the very version", { expectedVersion: 3 }, 3],
  ] as const)("are one for who expects %s", async (_, options, versions) => {
    const counted = counting();
    if (versions > 0) await counted.append(range(versions).map(() => event()));

    expect(await log.during(() => counted.append([event()], options))).toHaveLength(1);
  });

  it("are two for a conflict and for a repetition", async () => {
    const counted = counting();
    await counted.append([event({ id: idOf(1) })]);

    const conflict = () => expect(counted.append([event()], { expectedVersion: 7 })).rejects.toThrow();
    expect(await log.during(conflict)).toHaveLength(2);
    expect(await log.during(() => counted.append([event({ id: idOf(1) })]))).toHaveLength(2);
  });

  it("are one in a transaction of the caller, and two when it brings ids along", async () => {
    const counted = counting();

    const sent = await log.during(() => counted.transaction((tx) => counted.append([event()], { tx })));
    const withIds = await log.during(() =>
      counted.transaction((tx) => counted.append([event({ id: idOf(1) })], { tx, expectedVersion: 1 })),
    );

    expect(sent.map(firstWord)).toEqual(["begin", "WITH", "commit"]);
    expect(withIds.map(firstWord)).toEqual(["begin", "SELECT", "WITH", "commit"]);
  });
});

describe("Appends at once", () => {
  it("give one aggregate versions without holes, in the order of positions, and lose nothing", async () => {
    const stores = [store, schema.openStore({ max: 20 }), schema.openStore({ max: 20 })];

    const results = await Promise.all(
      range(24).map(async (writer) => {
        const own = [];
        for (const round of range(5)) {
          const payload = { writer, round };
          const result = await stores[writer % 3]?.append([event({ payload }), event({ payload })]);
          own.push(...(result?.events ?? []));
        }
        return own;
      }),
    );

    const { events } = await store.readStream(order);
    expect(events.map(({ aggregateVersion }) => aggregateVersion)).toEqual(range(240).map((index) => index + 1));
    expectAscending(events.map(({ globalPosition }) => globalPosition));
    const acknowledged = results.flat().toSorted((a, b) => a.aggregateVersion - b.aggregateVersion);
    expect(events).toEqual(acknowledged);
  });

  it("that expect a version let one win each time, and the others know what they missed", async () => {
    const stores = [store, schema.openStore({ max: 20 })];
    let conflicts = 0;

    await Promise.all(
      range(24).map(async (writer) => {
        for (;;) {
          const { version } = await store.readStream(order);
          try {
            await stores[writer % 2]?.append([event({ payload: { writer } })], { expectedVersion: version });
            return;
          } catch (error) {
            expect(error).toMatchObject({ code: "PUP_CONCURRENCY_CONFLICT", expected: version });
            expect((error as { actual: number }).actual).not.toBe(version);
            conflicts += 1;
          }
        }
      }),
    );

    const { events } = await store.readStream(order);
    expect(new Set(events.map(({ payload }) => (payload as { writer: number }).writer)).size).toBe(24);
    expect(events.map(({ aggregateVersion }) => aggregateVersion)).toEqual(range(24).map((index) => index + 1));
    expect(conflicts).toBeGreaterThan(0);
  });

  it("of the same ids write once, in transactions of callers and without", async () => {
    const append = (tx?: PgTx) => store.append([event({ id: idOf(1) }), event({ id: idOf(2) })], { tx });

    const results = await Promise.all(
      range(24).map((index) => {
        if (index % 3 === 0) return append();
        if (index % 3 === 1) return store.transaction(append);
        return schema.sql.begin(append) as ReturnType<typeof append>;
      }),
    );

    expect(results.filter(({ duplicate }) => !duplicate)).toHaveLength(1);
    expect(new Set(results.map(({ toVersion }) => toVersion))).toEqual(new Set([2]));
    expect((await store.readStream(order)).length).toBe(2);
  });

  it("take the table's lock before they draw a position, so that no position is drawn unseen", async () => {
    const held = await holdPostgresTransaction(schema.sql);
    await store.append([event()], { tx: held.tx });
    const waiting = store.append([event()]);
    await untilWaiting(schema.sql, 1);

    const [drawn] = await schema.sql`SELECT last_value::text FROM events_global_position_seq`;
    const { appenders } = await store.inFlightAppenders();
    await held.commit();

    expect(drawn).toEqual({ last_value: "1" });
    expect(appenders).toHaveLength(2);
    expect(await waiting).toMatchObject({ fromVersion: 1, toVersion: 2 });
  });

  it.each([
    ["commits", "commit"],
    ["rolls back", "rollback"],
  ] as const)("of one id to two aggregates: the later waits until the first %s", async (_, end) => {
    const held = await holdPostgresTransaction(schema.sql);
    await store.append([event({ id: idOf(1) })], { tx: held.tx });
    const waiting = store.append([event({ id: idOf(1), aggregateId: "order-2" })]).catch((error: unknown) => error);
    await untilWaiting(schema.sql, 1);

    await held[end]();

    expect(await waiting).toMatchObject(
      end === "commit" ? { code: "PUP_DUPLICATE_EVENT_ID", eventIds: [idOf(1)] } : { duplicate: false, toVersion: 1 },
    );
  });
});

describe("What is stored", () => {
  it("is jsonb, null included, and NULL where there is nothing", async () => {
    await store.append([event({ payload: null }), event({ payload: [1], metadata: { user: "u" } })]);

    expect(
      await schema.sql`
        SELECT jsonb_typeof(payload) AS payload, jsonb_typeof(metadata) AS metadata, trace_id FROM events ORDER BY 1 DESC`,
    ).toEqual([
      { payload: "null", metadata: null, trace_id: null },
      { payload: "array", metadata: "object", trace_id: null },
    ]);
  });

  it("has the bucket that SQL computes by the formula", async () => {
    for (const [aggregateType, aggregateId] of [
      ["Order", "order-1"],
      ["ä", "🐶"],
      ["a:b", "c"],
      ["it's", 'a "b" \\ c'],
    ] as const) {
      await store.append([event({ aggregateType, aggregateId })]);
    }

    const [wrong] = await schema.sql`
      SELECT count(*) FILTER (WHERE bucket <> computed)::int AS wrong, count(*)::int AS all
      FROM events, LATERAL (SELECT ('x' || left(md5(
        convert_to(aggregate_type, 'UTF8') || '\\x00' || convert_to(aggregate_id, 'UTF8')
      ), 3))::bit(10)::int AS computed) AS bucket`;
    expect(wrong).toEqual({ wrong: 0, all: 4 });
  });

  it("has the database's time, whatever this machine's clock says", async () => {
    vi.useFakeTimers({ toFake: ["Date"], now: new Date("2001-01-01") });
    onTestFinished(() => {
      vi.useRealTimers();
    });

    const { events } = await store.append([event()]);

    const [row] = await schema.sql<{ age: number }[]>`
      SELECT date_part('epoch', clock_timestamp() - ${events[0]?.createdAt ?? ""}) AS age`;
    expect(Math.abs(row?.age ?? Number.NaN)).toBeLessThan(60);
  });

  it("may be 10 MB large", async () => {
    const payload = { list: range(100_000).map((index) => ({ index, text: "x".repeat(80) })) };
    expect(JSON.stringify(payload).length).toBeGreaterThan(10_000_000);

    await store.append([event({ payload })]);

    expect((await store.readStream(order)).events[0]?.payload).toEqual(payload);
  });

  it("may be nested a thousand levels deep, which is as deep as goes", async () => {
    let payload: unknown = 1;
    for (let level = 0; level < 1_000; level++) payload = [payload];

    await store.append([event({ payload })]);

    expect((await store.readStream(order)).events[0]?.payload).toEqual(payload);
    await expect(store.append([event({ payload: [payload] })])).rejects.toMatchObject({
      code: "PUP_PAYLOAD_NOT_SERIALIZABLE",
    });
  });

  it("is refused when it is 300 MB large, and nothing is sent", async () => {
    const log = createStatementLog();
    const counted = schema.openStore({ connection: { url: schema.url, ...log.options } });
    const text = "x".repeat(100_000_000);

    const sent = await log.during(() =>
      expect(counted.append([event({ payload: [text, text, text] })])).rejects.toMatchObject({
        code: "PUP_PAYLOAD_TOO_LARGE",
      }),
    );

    expect(sent).toEqual([]);
  });
});

function firstWord(statement: string): string | undefined {
  return statement.trim().split(/\s/)[0];
}

function expectAscending(positions: readonly bigint[]): void {
  for (const [index, position] of positions.entries()) {
    if (index > 0) expect(position).toBeGreaterThan(positions[index - 1] ?? 0n);
  }
}
