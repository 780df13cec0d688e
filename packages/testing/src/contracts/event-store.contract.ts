import type { AppendOptions, EventStore, NewEvent } from "@pup/core";
import { describe, expect, it } from "vitest";
import { openForEach } from "./open-for-each.ts";
import { range, sampleEvent, sampleEvents } from "./sample-events.ts";
import type { StoreSetup } from "./store-setup.ts";

const order = { aggregateType: "Order", aggregateId: "order-1" };
const idOf = (number: number) => `0190a000-0000-7000-8000-${String(number).padStart(12, "0")}`;

/**
 * What every {@link EventStore} promises. Call it inside of a `describe`.
 *
 * @param open - gives each test a store without events
 */
export function eventStoreContract<Tx>(open: () => Promise<StoreSetup<Tx>>): void {
  const setup = openForEach(open);
  const append = (events: readonly NewEvent[], options?: AppendOptions<Tx>) => setup().store.append(events, options);
  const readOrder = async () => (await setup().store.readStream(order)).events;

  describe("append", () => {
    it("gives the events of a new aggregate versions from 1 and growing positions, in the order given", async () => {
      const { events } = await append(sampleEvents(3));

      expect(events.map(({ aggregateVersion }) => aggregateVersion)).toEqual([1, 2, 3]);
      expect(events.map(({ payload }) => payload)).toEqual([{ index: 0 }, { index: 1 }, { index: 2 }]);
      expect(events.every(({ globalPosition }) => typeof globalPosition === "bigint" && globalPosition > 0n)).toBe(
        true,
      );
      expect(isAscending(events.map(({ globalPosition }) => globalPosition))).toBe(true);
    });

    it("tells the aggregate's version before and after", async () => {
      expect(await append(sampleEvents(3))).toMatchObject({ fromVersion: 0, toVersion: 3, duplicate: false });
      expect(await append(sampleEvents(2))).toMatchObject({ fromVersion: 3, toVersion: 5, duplicate: false });
    });

    it("counts the versions of each aggregate for itself", async () => {
      await append(sampleEvents(2));
      const other = await append([sampleEvent({ aggregateId: "order-2" })]);
      const otherType = await append([sampleEvent({ aggregateType: "Invoice" })]);

      expect(other.toVersion).toBe(1);
      expect(otherType.toVersion).toBe(1);
    });

    it("answers with the caller's own payload and metadata", async () => {
      const payload = { at: new Date(0) };
      const metadata = { user: "u-1" };

      const { events } = await append([sampleEvent({ payload, metadata })]);

      expect(events[0]?.payload).toBe(payload);
      expect(events[0]?.metadata).toBe(metadata);
    });

    it("answers with what is read back later", async () => {
      const { events } = await append([sampleEvent({ metadata: { user: "u-1" } }), sampleEvent({ type: "OrderPaid" })]);

      expect(await readOrder()).toEqual(events);
    });

    it("keeps every field", async () => {
      const event = sampleEvent({
        id: idOf(1),
        version: 3,
        payload: { lines: [{ sku: "a", count: 2 }], note: null },
        metadata: { user: "u-1", roles: ["admin"] },
        traceId: "4bf92f3577b34da6a3ce929d0e0e4736",
        correlationId: "request-1",
        causationId: "command-1",
      });

      await append([event]);

      expect((await readOrder())[0]).toMatchObject(event);
    });

    it("fills in what was left out", async () => {
      await append([sampleEvent()]);

      expect((await readOrder())[0]).toMatchObject({
        version: 1,
        metadata: null,
        traceId: null,
        correlationId: null,
        causationId: null,
      });
    });

    it("makes a UUIDv7 for an event without id", async () => {
      const { events } = await append(sampleEvents(2));

      for (const { id } of events)
        expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
      expect(new Set(events.map(({ id }) => id)).size).toBe(2);
    });

    it("writes ids in lower case", async () => {
      const id = "0190ABCD-0000-7000-8000-00000000000A";

      const { events } = await append([sampleEvent({ id })]);

      expect(events[0]?.id).toBe(id.toLowerCase());
      expect((await readOrder())[0]?.id).toBe(id.toLowerCase());
    });

    it("gives the events of one append one time", async () => {
      const { events } = await append(sampleEvents(2));

      expect(events[0]?.createdAt).toBeInstanceOf(Date);
      expect(events[1]?.createdAt).toEqual(events[0]?.createdAt);
    });

    it("keeps version order and position order the same for one aggregate, whoever appends at once", async () => {
      await Promise.all(
        range(1, 20).map((index) => (index % 2 ? setup().store : setup().other).append(sampleEvents(2))),
      );

      const events = await readOrder();
      expect(events.map(({ aggregateVersion }) => aggregateVersion)).toEqual(range(1, 40));
      expect(isAscending(events.map(({ globalPosition }) => globalPosition))).toBe(true);
    });

    it("appends many events at once", async () => {
      const { events } = await append(sampleEvents(1_000));

      expect(events).toHaveLength(1_000);
      expect((await readOrder()).map(({ payload }) => payload)).toEqual(range(0, 999).map((index) => ({ index })));
    });
  });

  describe("append with an expected version", () => {
    it.each(["no-stream", 0] as const)("takes %j when there is no stream", async (expectedVersion) => {
      expect(await append([sampleEvent()], { expectedVersion })).toMatchObject({ toVersion: 1 });
    });

    it.each(["no-stream", 0] as const)("refuses %j when there is a stream", async (expectedVersion) => {
      await append(sampleEvents(2));

      await expect(append([sampleEvent()], { expectedVersion })).rejects.toMatchObject({
        code: "PUP_CONCURRENCY_CONFLICT",
        ...order,
        expected: expectedVersion,
        actual: 2,
      });
    });

    it("takes the version that the aggregate has", async () => {
      await append(sampleEvents(2));

      expect(await append([sampleEvent()], { expectedVersion: 2 })).toMatchObject({ fromVersion: 2, toVersion: 3 });
    });

    it.each([1, 3])("refuses version %d when the aggregate has version 2", async (expectedVersion) => {
      await append(sampleEvents(2));

      await expect(append([sampleEvent()], { expectedVersion })).rejects.toMatchObject({
        code: "PUP_CONCURRENCY_CONFLICT",
        expected: expectedVersion,
        actual: 2,
      });
      expect(await readOrder()).toHaveLength(2);
    });

    it("refuses a version when there is no stream", async () => {
      await expect(append([sampleEvent()], { expectedVersion: 1 })).rejects.toMatchObject({
        code: "PUP_CONCURRENCY_CONFLICT",
        actual: 0,
      });
    });

    it('takes any version with "any"', async () => {
      await append([sampleEvent()], { expectedVersion: "any" });

      expect(await append([sampleEvent()], { expectedVersion: "any" })).toMatchObject({ toVersion: 2 });
    });

    it("lets one of many win that expect the same version", async () => {
      const outcomes = await Promise.allSettled(
        range(1, 10).map((index) =>
          (index % 2 ? setup().store : setup().other).append([sampleEvent()], { expectedVersion: 0 }),
        ),
      );

      expect(outcomes.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
      for (const outcome of outcomes) {
        if (outcome.status === "rejected")
          expect(outcome.reason).toMatchObject({ code: "PUP_CONCURRENCY_CONFLICT", actual: 1 });
      }
      expect(await readOrder()).toHaveLength(1);
    });

    it("draws no position for an append that conflicts, so that conflicts leave no holes", async () => {
      const { events } = await append([sampleEvent()]);
      await Promise.allSettled(range(1, 5).map(() => append([sampleEvent()], { expectedVersion: 7 })));

      const next = await append([sampleEvent()]);

      expect(next.events[0]?.globalPosition).toBe((events[0]?.globalPosition ?? 0n) + 1n);
    });

    it.each([-1, 1.5, Number.NaN, "latest"])("refuses %j as an expected version", async (expectedVersion) => {
      const options = { expectedVersion } as AppendOptions<Tx>;

      await expect(append([sampleEvent()], options)).rejects.toMatchObject({ code: "PUP_INVALID_OPTION" });
    });
  });

  describe("append of what cannot be stored", () => {
    it("refuses an empty list", async () => {
      await expect(append([])).rejects.toMatchObject({ code: "PUP_NO_EVENTS" });
    });

    it("refuses events of two aggregates", async () => {
      const events = [sampleEvent(), sampleEvent({ aggregateId: "order-2" })];

      await expect(append(events)).rejects.toMatchObject({ code: "PUP_MIXED_AGGREGATES" });
      expect(await readOrder()).toEqual([]);
    });

    it.each([
      ["a bigint", { a: { b: 1n } }, "payload.a.b"],
      ["NaN", { lines: [{ price: Number.NaN }] }, "payload.lines[0].price"],
      ["a function", { f: () => 1 }, "payload.f"],
      ["a NUL character", { text: "a\0b" }, "payload.text"],
      ["half of a surrogate pair", { text: "\ud83d" }, "payload.text"],
      ["nothing at all", undefined, "payload"],
      ["undefined in a list", [1, undefined], "payload[1]"],
      ["an invalid date", { at: new Date(Number.NaN) }, "payload.at"],
      ["a map", { map: new Map([["a", 1]]) }, "payload.map"],
      ["a cycle", cycle(), "payload.self"],
    ])("refuses a payload with %s, and says where", async (_, payload, path) => {
      const events = [sampleEvent(), sampleEvent({ payload })];

      await expect(append(events)).rejects.toMatchObject({ code: "PUP_PAYLOAD_NOT_SERIALIZABLE", eventIndex: 1, path });
      expect(await readOrder()).toEqual([]);
    });

    it("refuses metadata as it refuses payloads", async () => {
      await expect(append([sampleEvent({ metadata: { at: { count: 1n } } })])).rejects.toMatchObject({
        code: "PUP_PAYLOAD_NOT_SERIALIZABLE",
        path: "metadata.at.count",
      });
    });

    it.each([
      ["an empty aggregate type", { aggregateType: "" }],
      ["an empty aggregate id", { aggregateId: "" }],
      ["an empty type", { type: "" }],
      ["a type with NUL", { type: "a\0b" }],
      ["an endless aggregate id", { aggregateId: "x".repeat(10_000) }],
      ["an id that is no UUID", { id: "order-placed-1" }],
      ["version 0", { version: 0 }],
      ["version 1.5", { version: 1.5 }],
      ["a version beyond 32 bits", { version: 2 ** 31 }],
      ["a list as metadata", { metadata: [] as never }],
      ["a number as correlation id", { correlationId: 7 as never }],
    ])("refuses an event with %s", async (_, event) => {
      await expect(append([sampleEvent(event)])).rejects.toMatchObject({ code: "PUP_INVALID_EVENT" });
    });

    it("refuses two events with the same id", async () => {
      const events = [sampleEvent({ id: idOf(1) }), sampleEvent({ id: idOf(1) })];

      await expect(append(events)).rejects.toMatchObject({ code: "PUP_INVALID_EVENT" });
    });
  });

  describe("append of the same ids again", () => {
    const twoEvents = () => [sampleEvent({ id: idOf(1) }), sampleEvent({ id: idOf(2), type: "OrderPaid" })];

    it("changes nothing and answers with the first places", async () => {
      const first = await append(twoEvents());
      const latest = await setup().store.latestPosition();

      const second = await append(twoEvents());

      expect(second).toEqual({ ...first, duplicate: true });
      expect(await setup().store.latestPosition()).toBe(latest);
      expect(await readOrder()).toHaveLength(2);
    });

    it("answers the same when the aggregate has gone on meanwhile", async () => {
      const first = await append(twoEvents(), { expectedVersion: "no-stream" });
      await append(sampleEvents(3));

      expect(await append(twoEvents(), { expectedVersion: "no-stream" })).toEqual({ ...first, duplicate: true });
      expect(await append(twoEvents(), { expectedVersion: 5 })).toEqual({ ...first, duplicate: true });
      expect(await readOrder()).toHaveLength(5);
    });

    it("recognises ids whatever their case", async () => {
      await append([sampleEvent({ id: "0190abcd-0000-7000-8000-00000000000a" })]);

      expect(await append([sampleEvent({ id: "0190ABCD-0000-7000-8000-00000000000A" })])).toMatchObject({
        duplicate: true,
      });
    });

    it("writes once when the same append comes many times at once", async () => {
      const results = await Promise.all(
        range(1, 8).map((index) => (index % 2 ? setup().store : setup().other).append(twoEvents())),
      );

      expect(results.filter(({ duplicate }) => !duplicate)).toHaveLength(1);
      expect(new Set(results.map(({ events }) => events[0]?.globalPosition)).size).toBe(1);
      expect(await readOrder()).toHaveLength(2);
    });

    it.each([
      ["only some of the ids are new", () => [sampleEvent({ id: idOf(2) }), sampleEvent({ id: idOf(3) })], [idOf(2)]],
      ["the order is another", () => twoEvents().reverse(), [idOf(1), idOf(2)]],
      [
        "they belong to another aggregate",
        () => twoEvents().map((event) => ({ ...event, aggregateId: "order-2" })),
        [idOf(1), idOf(2)],
      ],
    ])("is refused when %s", async (_, events, taken) => {
      await append(twoEvents());

      const refused = append(events());

      await expect(refused).rejects.toMatchObject({ code: "PUP_DUPLICATE_EVENT_ID" });
      await refused.catch(({ eventIds }) => expect([...eventIds].sort()).toEqual(taken));
      expect(await readOrder()).toHaveLength(2);
    });

    it("is refused when other events stand in between", async () => {
      await append([sampleEvent({ id: idOf(1) })]);
      await append([sampleEvent()]);
      await append([sampleEvent({ id: idOf(2) })]);

      await expect(append(twoEvents())).rejects.toMatchObject({ code: "PUP_DUPLICATE_EVENT_ID" });
    });
  });

  describe("append in a transaction of the caller", () => {
    it("shows the events to others only after the commit", async () => {
      const held = await setup().begin();
      const { events } = await append([sampleEvent()], { tx: held.tx });
      expect(await readOrder()).toEqual([]);

      await held.commit();

      expect(await readOrder()).toEqual(events);
    });

    it("shows the events to the transaction itself", async () => {
      const held = await setup().begin();
      await append([sampleEvent()], { tx: held.tx });

      const own = await setup().store.readStream(order, {}, { tx: held.tx });
      await held.rollback();

      expect(own).toMatchObject({ version: 1, length: 1 });
    });

    it("leaves nothing when the transaction rolls back", async () => {
      const held = await setup().begin();
      await append([sampleEvent()], { tx: held.tx });
      await held.rollback();

      expect(await setup().store.readStream(order)).toMatchObject({ isEmpty: true, version: 0 });
      expect(await append([sampleEvent()], { expectedVersion: "no-stream" })).toMatchObject({ toVersion: 1 });
    });

    it("commits several aggregates together", async () => {
      const held = await setup().begin();
      await append([sampleEvent()], { tx: held.tx });
      await append([sampleEvent({ aggregateId: "order-2" })], { tx: held.tx });
      await append([sampleEvent()], { tx: held.tx, expectedVersion: 1 });
      await held.commit();

      expect(await readOrder()).toHaveLength(2);
      expect((await setup().store.readStream({ ...order, aggregateId: "order-2" })).version).toBe(1);
    });

    it.each([
      ["a conflict", [sampleEvent()], { expectedVersion: 9 }, "PUP_CONCURRENCY_CONFLICT"],
      ["a taken id", [sampleEvent({ id: idOf(1), aggregateId: "order-2" })], {}, "PUP_DUPLICATE_EVENT_ID"],
      [
        "a taken id beside a new one",
        [sampleEvent({ id: idOf(1) }), sampleEvent({ id: idOf(2) })],
        {},
        "PUP_DUPLICATE_EVENT_ID",
      ],
      ["a bad payload", [sampleEvent({ payload: { total: 1n } })], {}, "PUP_PAYLOAD_NOT_SERIALIZABLE"],
    ] as const)("leaves the transaction usable after %s", async (_, events, options, code) => {
      await append([sampleEvent({ id: idOf(1) })]);
      const held = await setup().begin();
      await append([sampleEvent()], { tx: held.tx });

      await expect(append(events, { ...options, tx: held.tx })).rejects.toMatchObject({ code });

      await append([sampleEvent()], { tx: held.tx });
      await held.commit();
      expect(await readOrder()).toHaveLength(3);
    });

    it("recognises a repetition of a committed append, and leaves the transaction usable", async () => {
      const first = await append([sampleEvent({ id: idOf(1) })]);
      const held = await setup().begin();

      const repeated = await append([sampleEvent({ id: idOf(1) })], { tx: held.tx });
      await append([sampleEvent()], { tx: held.tx });
      await held.commit();

      expect(repeated).toEqual({ ...first, duplicate: true });
      expect(await readOrder()).toHaveLength(2);
    });

    it("recognises a repetition of an append of the same transaction", async () => {
      const held = await setup().begin();
      const first = await append([sampleEvent({ id: idOf(1) })], { tx: held.tx });

      const repeated = await append([sampleEvent({ id: idOf(1) })], { tx: held.tx });
      await held.commit();

      expect(repeated).toEqual({ ...first, duplicate: true });
      expect(await readOrder()).toHaveLength(1);
    });

    it("makes an append of the same aggregate elsewhere wait for the outcome", async () => {
      const held = await setup().begin();
      await append([sampleEvent()], { tx: held.tx });

      const waiting = append([sampleEvent()], { expectedVersion: 1 });
      await held.commit();

      expect(await waiting).toMatchObject({ fromVersion: 1, toVersion: 2 });
    });

    it("makes an append of the same id to another aggregate wait for the outcome, and refuses it after a commit", async () => {
      const held = await setup().begin();
      await append([sampleEvent({ id: idOf(1) })], { tx: held.tx });

      const waiting = append([sampleEvent({ id: idOf(1), aggregateId: "order-2" })]);
      const refused = expect(waiting).rejects.toMatchObject({ code: "PUP_DUPLICATE_EVENT_ID" });
      await held.commit();

      await refused;
    });

    it("makes an append of the same id to another aggregate wait for the outcome, and takes it after a rollback", async () => {
      const held = await setup().begin();
      await append([sampleEvent({ id: idOf(1) })], { tx: held.tx });

      const waiting = append([sampleEvent({ id: idOf(1), aggregateId: "order-2" })]);
      await held.rollback();

      expect(await waiting).toMatchObject({ toVersion: 1, duplicate: false });
    });

    it("does not hold up appends of other aggregates", async () => {
      const held = await setup().begin();
      const early = await append([sampleEvent()], { tx: held.tx });

      const late = await append([sampleEvent({ aggregateId: "order-2" })]);
      await held.commit();

      // This is why the newest visible position is no safe bound for reading.
      expect(late.events[0]?.globalPosition).toBeGreaterThan(early.events[0]?.globalPosition ?? 0n);
    });
  });

  describe("payloads", () => {
    it.each([
      ["an empty object", {}],
      ["an empty list", []],
      ["null", null],
      ["text", 'it\'s "quoted", \\slashed\\, $1, :name, {"a":1}'],
      ["a number", 42],
      ["a boolean", false],
      ["text of all kinds", { text: "Zażółć 漢字 🐶 \u2028\u0001\t\n" }],
      ["large and small numbers", { numbers: [1e21, 5e-324, Number.MAX_VALUE, Number.MAX_SAFE_INTEGER, -0.1] }],
      ["keys of all kinds", JSON.parse('{"__proto__":1,"constructor":2,"":3,"a.b":4,"1":5}')],
      ["deep nesting", deep(200)],
    ])("come back as they were: %s", async (_, payload) => {
      await append([sampleEvent({ payload })]);

      expect((await readOrder())[0]?.payload).toEqual(payload);
    });

    it("come back as JSON: dates as text, undefined properties left out, toJSON obeyed", async () => {
      const payload = { at: new Date(0), left: undefined, money: { toJSON: () => "12 EUR" }, list: [new Date(0)] };

      await append([sampleEvent({ payload })]);

      const at = "1970-01-01T00:00:00.000Z";
      expect((await readOrder())[0]?.payload).toStrictEqual({ at, money: "12 EUR", list: [at] });
    });

    it("may be large", async () => {
      const payload = { text: "0123456789".repeat(200_000) };

      await append([sampleEvent({ payload })]);

      expect((await readOrder())[0]?.payload).toEqual(payload);
    });

    it("do not change when the caller changes its object afterwards", async () => {
      const payload = { total: 1 };
      await append([sampleEvent({ payload })]);
      payload.total = 2;

      expect((await readOrder())[0]?.payload).toEqual({ total: 1 });
    });

    it("do not change when a reader changes what it was given", async () => {
      await append([sampleEvent({ payload: { total: 1 } })]);
      const [read] = await readOrder();
      try {
        (read?.payload as { total: number }).total = 2;
      } catch {
        // A store may as well freeze what it gives away.
      }

      expect((await readOrder())[0]?.payload).toEqual({ total: 1 });
    });
  });

  describe("readStream", () => {
    it("gives an empty stream for an aggregate without events", async () => {
      expect(await setup().store.readStream(order)).toEqual({
        ...order,
        events: [],
        version: 0,
        isEmpty: true,
        length: 0,
      });
    });

    it("gives all events of the aggregate and no others, oldest first", async () => {
      await append(sampleEvents(2));
      await append([sampleEvent({ aggregateId: "order-2" })]);
      await append([sampleEvent({ aggregateType: "Invoice" })]);
      await append([sampleEvent({ type: "OrderPaid" })]);

      const stream = await setup().store.readStream(order);

      expect(stream).toMatchObject({ ...order, version: 3, isEmpty: false, length: 3 });
      expect(stream.events.map(({ type }) => type)).toEqual(["OrderPlaced", "OrderPlaced", "OrderPaid"]);
    });

    it.each([
      ["from a version", { fromVersion: 3 }, [3, 4, 5]],
      ["up to a version", { toVersion: 2 }, [1, 2]],
      ["between two versions", { fromVersion: 2, toVersion: 4 }, [2, 3, 4]],
      ["one version", { fromVersion: 4, toVersion: 4 }, [4]],
      ["beyond the end", { fromVersion: 6 }, []],
      ["backwards", { fromVersion: 4, toVersion: 2 }, []],
    ])("reads a part, both ends inclusive, and still tells the version: %s", async (_, part, versions) => {
      await append(sampleEvents(5));

      const stream = await setup().store.readStream(order, part);

      expect(stream.events.map(({ aggregateVersion }) => aggregateVersion)).toEqual(versions);
      expect(stream).toMatchObject({ version: 5, isEmpty: false, length: versions.length });
    });

    it("never takes one aggregate for another, whatever their names", async () => {
      const names = [
        ["a", "b:c"],
        ["a:b", "c"],
        ["a", "b"],
        ["A", "b"],
        ["a'--", 'b"'],
        ["ä", "🐶"],
        [" a", "b "],
      ] as const;
      for (const [aggregateType, aggregateId] of names) await append([sampleEvent({ aggregateType, aggregateId })]);

      for (const [aggregateType, aggregateId] of names) {
        const { events } = await setup().store.readStream({ aggregateType, aggregateId });
        expect(events).toMatchObject([{ aggregateType, aggregateId, aggregateVersion: 1 }]);
      }
    });
  });

  describe("latestPosition", () => {
    it("is 0 in an empty log", async () => {
      expect(await setup().store.latestPosition()).toBe(0n);
    });

    it("is the position of the newest visible event", async () => {
      const { events } = await append(sampleEvents(3));
      const held = await setup().begin();
      await append([sampleEvent({ aggregateId: "order-2" })], { tx: held.tx });
      const latest = await setup().store.latestPosition();
      await held.rollback();

      expect(latest).toBe(events[2]?.globalPosition);
    });
  });
}

function isAscending(positions: readonly bigint[]): boolean {
  return positions.every((position, index) => index === 0 || position > (positions[index - 1] ?? 0n));
}

function cycle(): object {
  const payload: { self?: object } = {};
  payload.self = payload;
  return payload;
}

function deep(levels: number): object {
  return levels === 0 ? {} : { inner: deep(levels - 1) };
}
