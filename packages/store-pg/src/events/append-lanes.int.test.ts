import type { AppendResult, NewEvent } from "@pup/core";
import { startTcpProxy } from "@pup/testing/postgres";
import { afterEach, beforeEach, describe, expect, it, onTestFinished } from "vitest";
import type { PgStore } from "../create-store.ts";
import { createStatementLog } from "../test-support/count-statements.ts";
import { holdPostgresTransaction } from "../test-support/hold-transaction.ts";
import { type TestSchema, useSchemas } from "../test-support/open-schema.ts";

const openSchema = useSchemas();
let schema: TestSchema;
let store: PgStore;

beforeEach(async () => {
  schema = await openSchema({ max: 20 });
  store = schema.openStore();
});
afterEach(() => schema[Symbol.asyncDispose]());

const event = (aggregateId: string, fields: Partial<NewEvent> = {}): NewEvent => ({
  aggregateType: "Order",
  aggregateId,
  type: "OrderPlaced",
  payload: {},
  ...fields,
});
const range = (length: number) => Array.from({ length }, (_, index) => index);
const idOf = (number: number) => `0190a000-0000-7000-8000-${String(number).padStart(12, "0")}`;
const outcomeOf = (append: Promise<AppendResult>) =>
  append.then(
    ({ duplicate, toVersion }) => (duplicate ? "duplicate" : toVersion),
    (error: { code?: string; message: string }) => error.code ?? error.message,
  );

/** Two appends that take both places in the fast lane: what is sent in the same turn travels together behind them. */
const fill = (into: PgStore = store) => [into.append([event("first")]), into.append([event("second")])];

/** Another's transaction that has locked heads, as an append in it does. */
async function lockHeads(...aggregateIds: string[]) {
  const held = await holdPostgresTransaction(schema.sql);
  for (const id of aggregateIds) await store.append([event(id)], { tx: held.tx });
  return held;
}

const log = createStatementLog();
const counting = () => schema.openStore({ connection: { url: schema.url, ...log.options } });

describe("Appends that come while others are under way", () => {
  it("travel together in one statement, each with its own result", async () => {
    const counted = counting();
    let results: AppendResult[] = [];

    const sent = await log.during(async () => {
      results = await Promise.all([
        ...fill(counted),
        ...range(20).map((n) => counted.append([event(`${n}`), event(`${n}`)])),
      ]);
    });

    expect(sent).toHaveLength(3);
    expect(results.slice(2)).toEqual(
      range(20).map((n) =>
        expect.objectContaining({
          fromVersion: 0,
          toVersion: 2,
          events: [expect.objectContaining({ aggregateId: `${n}` }), expect.objectContaining({ aggregateId: `${n}` })],
        }),
      ),
    );
    for (const { events } of results) {
      const [{ aggregateId } = { aggregateId: "" }] = events;
      expect((await store.readStream({ aggregateType: "Order", aggregateId })).events).toEqual(events);
    }
  });

  it("do so unprepared, as some poolers need it", async () => {
    const unprepared = schema.openStore({ prepare: false });

    const results = await Promise.all([...fill(unprepared), ...range(3).map(() => unprepared.append([event("a")]))]);

    expect(results.slice(2).map(({ toVersion }) => toVersion)).toEqual([1, 2, 3]);
  });

  it("do not when they shall not", async () => {
    const single = schema.openStore({ groupAppends: false, connection: { url: schema.url, ...log.options } });

    const sent = await log.during(() => Promise.all(range(5).map((n) => single.append([event(`${n}`)]))));

    expect(sent).toHaveLength(5);
  });

  it("to one aggregate happen in the order in which they came, as if one after the other", async () => {
    const outcomes = await Promise.all(
      [
        ...fill(),
        store.append([event("a"), event("a")], { expectedVersion: "no-stream" }),
        store.append([event("a")], { expectedVersion: 2 }),
        store.append([event("a")]),
        store.append([event("a")], { expectedVersion: 3 }),
        store.append([event("a")], { expectedVersion: 4 }),
        store.append([event("a")], { expectedVersion: "no-stream" }),
        store.append([event("a")]),
      ].map(outcomeOf),
    );

    expect(outcomes.slice(2)).toEqual([2, 3, 4, "PUP_CONCURRENCY_CONFLICT", 5, "PUP_CONCURRENCY_CONFLICT", 6]);
  });

  it("do not share their faults: conflict, repetition, taken id, and what PostgreSQL cannot store", async () => {
    await store.append([event("grown")]);
    await store.append([event("repeated", { id: idOf(1) })]);
    // Where nesting uses up what the server gives to a statement sooner than pup says stop.
    const shallow = schema.openStore({ connection: { url: schema.url, connection: { max_stack_depth: "100kB" } } });
    let deep: unknown = 1;
    for (let level = 0; level < 990; level++) deep = [deep];

    const outcomes = await Promise.all(
      [
        ...fill(shallow),
        shallow.append([event("a")]),
        shallow.append([event("grown")], { expectedVersion: "no-stream" }),
        shallow.append([event("b", { payload: deep })]),
        shallow.append([event("grown")], { expectedVersion: 1 }),
        shallow.append([event("repeated", { id: idOf(1) })]),
        shallow.append([event("c", { id: idOf(1) })]),
        shallow.append([event("missing")], { expectedVersion: 7 }),
        shallow.append([event("d")]),
      ].map(outcomeOf),
    );

    expect(outcomes.slice(2)).toEqual([
      1,
      "PUP_CONCURRENCY_CONFLICT",
      "PUP_PAYLOAD_NOT_SERIALIZABLE",
      2,
      "duplicate",
      "PUP_DUPLICATE_EVENT_ID",
      "PUP_CONCURRENCY_CONFLICT",
      1,
    ]);
    expect(await store.readStream({ aggregateType: "Order", aggregateId: "b" })).toMatchObject({ version: 0 });
    expect(await schema.sql`SELECT count(*)::int FROM events`).toEqual([{ count: 7 }]);
  });

  it("of the same ids write once", async () => {
    const repeated = () => store.append([event("a", { id: idOf(1) }), event("a", { id: idOf(2) })]);

    const outcomes = await Promise.all([...fill(), ...range(10).map(repeated)].map(outcomeOf));

    expect(outcomes.slice(2)).toEqual([2, ...range(9).map(() => "duplicate")]);
  });

  it("know what they missed, when one of many that expect a version has won", async () => {
    const rivals = range(12).map(() => store.append([event("a")], { expectedVersion: "no-stream" }));

    const outcomes = await Promise.all(rivals.map(outcomeOf));

    expect(outcomes).toEqual([1, ...range(11).map(() => "PUP_CONCURRENCY_CONFLICT")]);
  });

  it("take aggregates of any name, each for itself", async () => {
    const names = ["__proto__", "constructor", 'it\'s "x" \\ {y}', "a.b", "🐶", "ä", "1"];
    const refs = names.flatMap((aggregateType) => names.map((aggregateId) => ({ aggregateType, aggregateId })));
    const appendAll = (expectedVersion: number) =>
      Promise.all([...fill(), ...refs.map((ref) => store.append([{ ...event(""), ...ref }], { expectedVersion }))]);

    await appendAll(0);
    const results = await appendAll(1);

    expect(results.slice(2).map(({ toVersion }) => toVersion)).toEqual(refs.map(() => 2));
  });

  it("go by themselves when they are large, and keep their order", async () => {
    const counted = counting();
    const large = event("a", { payload: "x".repeat(100_000) });

    const sent = await log.during(async () => {
      const appends = [
        ...fill(counted),
        counted.append([event("a")]),
        counted.append([large]),
        counted.append([event("a")]),
      ];
      expect((await Promise.all(appends.map(outcomeOf))).slice(2)).toEqual([1, 2, 3]);
    });

    expect(sent).toHaveLength(5);
  });
});

describe("A head that somebody has locked", () => {
  it("holds up only its own aggregate, in a group and alone, and its appends keep their order", async () => {
    const held = await lockHeads("locked 1", "locked 2", "locked 3");
    const alone = ["locked 1", "locked 2"].map((id) => outcomeOf(store.append([event(id)])));
    const together = range(3).map(() => outcomeOf(store.append([event("locked 3")])));
    const others = range(10).map((n) => outcomeOf(store.append([event(`${n}`)])));

    expect(await Promise.all(others)).toEqual(range(10).map(() => 1));
    const later = outcomeOf(store.append([event("locked 3")], { expectedVersion: 4 }));
    expect(await outcomeOf(store.append([event("10")]))).toBe(1);
    await held.commit();

    expect(await Promise.all(alone)).toEqual([2, 2]);
    expect(await Promise.all(together)).toEqual([2, 3, 4]);
    expect(await later).toBe(5);
  });

  it("holds up nobody else when there are more of them than connections", async () => {
    const ids = range(12).map((n) => `locked ${n}`);
    const held = await lockHeads(...ids);
    const waiting: Promise<unknown>[] = [];
    for (const id of ids) {
      waiting.push(outcomeOf(store.append([event(id)])));
      // One after the other, each alone, and each is given up as too slow.
      expect(await outcomeOf(store.append([event(`beside ${id}`)]))).toBe(1);
    }

    expect(await store.latestPosition()).toBeGreaterThan(0n);
    await held.rollback();

    expect(await Promise.all(waiting)).toEqual(ids.map(() => 1));
  });

  it("holds up nobody else when nobody can see it yet", async () => {
    const held = await lockHeads("new");
    const waiting = [
      ...fill(),
      store.append([event("a")]),
      store.append([event("new")]),
      store.append([event("b")]),
    ].map(outcomeOf);

    expect(await Promise.all([waiting[2], waiting[4]])).toEqual([1, 1]);
    await held.commit();

    expect(await waiting[3]).toBe(2);
  });

  it("by a transaction that wants a head of the group too, costs neither of the two", async () => {
    const held = await lockHeads("z");
    const group = [...fill(), store.append([event("a")]), store.append([event("z")])].map(outcomeOf);
    // The group holds or has held this one by now, or will wait for it.
    await Promise.all(group.slice(0, 2));
    const taken = outcomeOf(store.append([event("a")], { tx: held.tx }));

    expect(typeof (await taken)).toBe("number");
    await held.commit();

    const outcomes = await Promise.all([taken, ...group.slice(2)]);
    expect(outcomes.toSorted()).toEqual([1, 2, 2]);
  });

  it("is waited for as long as a statement may take; what is behind is told that it was not sent", async () => {
    const impatient = schema.openStore({ statementTimeoutMs: 500 });
    const held = await lockHeads("locked");
    const waiting = [impatient.append([event("locked")]), impatient.append([event("locked")])].map(outcomeOf);

    // The second may just have been sent when the first had to give up.
    expect(await waiting[0]).toBe("PUP_STATEMENT_TIMEOUT");
    expect(["PUP_OVERLOADED", "PUP_STATEMENT_TIMEOUT"]).toContain(await waiting[1]);
    await held.commit();

    expect(await store.readStream({ aggregateType: "Order", aggregateId: "locked" })).toMatchObject({ version: 1 });
  });
});

describe("A group whose connection is lost", () => {
  const isGroup = (data: Buffer) => data.includes('"events":[');

  it.each([
    ["before it has arrived", 0, "reset", "client"],
    ["when it is carried out", 2, "reset", "server"],
  ] as const)(
    "%s, is an open question for each of its appends, and none is tried again",
    async (_, written, verdict, by) => {
      const proxy = await startTcpProxy(schema.url);
      onTestFinished(() => proxy.close());
      const distant = schema.openStore({ connection: proxy.url });
      // The statement is prepared, so that it arrives in one piece.
      await Promise.all([...fill(distant), distant.append([event("a")]), distant.append([event("b")])]);
      let lost = false;
      let sent = 0;
      proxy.judge = (data, from) => {
        if (from === "client" && isGroup(data)) sent += 1;
        lost ||= sent > 0;
        return lost && from === by ? verdict : "pass";
      };
      const appends = () => [
        distant.append([event("a", { id: idOf(1) })], { expectedVersion: 1 }),
        distant.append([event("b", { id: idOf(2) })]),
      ];

      const outcomes = await Promise.all([...fill(distant), ...appends()].map(outcomeOf));

      expect(outcomes.slice(2)).toEqual(["PUP_CONNECTION_LOST", "PUP_CONNECTION_LOST"]);
      expect(sent).toBe(1);
      const count = async () =>
        (await schema.sql`SELECT FROM events WHERE event_id IN (${idOf(1)}, ${idOf(2)})`).length;
      // The server may still be at it.
      await expect.poll(count).toBe(written);
      proxy.judge = () => "pass";
      const repeated = written === 0 ? [2, 2] : ["duplicate", "duplicate"];
      expect(await Promise.all(appends().map(outcomeOf))).toEqual(repeated);
    },
  );
});

describe("A store that is closed", () => {
  it("lets what is queued finish", async () => {
    const appends = [...fill(), ...range(300).map((n) => store.append([event(`${n}`)]))];

    await store.close();

    expect((await Promise.all(appends)).map(({ toVersion }) => toVersion)).toEqual(appends.map(() => 1));
  });

  it("tells those that cannot, and closes all the same", async () => {
    const held = await lockHeads("locked");
    const waiting = range(3).map(() => outcomeOf(store.append([event("locked")])));

    await store.close();

    expect(await Promise.all(waiting)).toEqual(waiting.map(() => "PUP_INVALID_STATE"));
    await held.rollback();
    expect(await schema.sql`SELECT FROM events`).toHaveLength(0);
  });
});
