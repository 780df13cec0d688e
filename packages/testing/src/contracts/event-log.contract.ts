import {
  beginSettling,
  type EventScope,
  type GlobalPosition,
  type LogPage,
  observeAppenders,
  observeScan,
  type RecordedEvent,
  type SettledState,
} from "@pup/core";
import { describe, expect, it } from "vitest";
import { openForEach } from "./open-for-each.ts";
import { sampleEvent, sampleEvents } from "./sample-events.ts";
import type { StoreSetup } from "./store-setup.ts";

const MANY_BYTES = 8 * 1024 * 1024;

/**
 * What every `EventLog` promises. Call it inside of a `describe`.
 *
 * @param open - gives each test a store without events
 */
export function eventLogContract<Tx>(open: () => Promise<StoreSetup<Tx>>): void {
  const setup = openForEach(open);
  const log = () => setup().store;

  const append = async (aggregateId: string, count = 1, event: Parameters<typeof sampleEvent>[0] = {}) =>
    (await setup().store.append(sampleEvents(count, { aggregateId, ...event }))).events;

  /** Leaves a hole in the log, as a rolled-back append does. */
  const appendAndRollBack = async (count = 1) => {
    const held = await setup().begin();
    const { events } = await setup().store.append(sampleEvents(count, { aggregateId: "rolled-back" }), { tx: held.tx });
    await held.rollback();
    return positionsOf(events);
  };

  /** An append that has drawn its positions and has not committed. */
  const appendAndHold = async (aggregateId = "held", count = 1) => {
    const held = await setup().begin();
    const { events } = await setup().store.append(sampleEvents(count, { aggregateId }), { tx: held.tx });
    return { ...held, positions: positionsOf(events) };
  };

  const read = async (
    after: GlobalPosition,
    upTo: GlobalPosition,
    { limit = 100, maxBytes = MANY_BYTES, scope }: { limit?: number; maxBytes?: number; scope?: EventScope } = {},
  ) => log().readLog({ after, upTo, limit, maxBytes, scope });

  describe("readLog", () => {
    it("gives events of all aggregates in position order, as they were recorded", async () => {
      const recorded = [...(await append("a", 2)), ...(await append("b", 2)), ...(await append("a", 1))];

      const { events } = await read(0n, last(recorded));

      expect(events).toEqual(recorded);
    });

    it("begins after the one position and ends with the other", async () => {
      const [first, second, third] = positionsOf(await append("a", 4)) as [bigint, bigint, bigint];

      const { events } = await read(first, third);

      expect(positionsOf(events)).toEqual([second, third]);
    });

    it("reaches the end asked for when the page is not cut", async () => {
      const recorded = await append("a", 2);
      const end = last(recorded) + 5n;

      expect(await read(0n, end)).toEqual({ events: recorded, through: end });
      expect(await read(last(recorded), end)).toEqual({ events: [], through: end });
    });

    it("gives an empty page when there is nothing to read", async () => {
      expect(await read(0n, 0n)).toEqual({ events: [], through: 0n });
    });

    it("cuts a page at its limit, and says that it reaches to its last event", async () => {
      const [first, second] = await append("a", 5);

      const page = await read(0n, 100n, { limit: 2 });

      expect(page.events).toEqual([first, second]);
      expect(page.through).toBe(second?.globalPosition);
    });

    it("cuts a page at its bytes", async () => {
      await append("a", 10, { payload: { text: noise(10_000) } });

      const page = await read(0n, 1_000n, { maxBytes: 35_000 });

      expect(page.events.length).toBeGreaterThan(0);
      expect(page.events.length).toBeLessThan(10);
      expect(page.through).toBe(last(page.events));
    });

    it("gives one event however large it is", async () => {
      const recorded = await append("a", 2, { payload: { text: noise(10_000) } });

      expect(positionsOf((await read(0n, 1_000n, { maxBytes: 1 })).events)).toEqual(positionsOf(recorded.slice(0, 1)));
    });

    it.each([
      ["aggregate type", { aggregateTypes: ["Order"] }, ["Order Placed", "Order Paid"]],
      [
        "several aggregate types",
        { aggregateTypes: ["Order", "Invoice"] },
        ["Order Placed", "Invoice Placed", "Order Paid"],
      ],
      ["event type", { eventTypes: ["Placed"] }, ["Order Placed", "Invoice Placed"]],
      [
        "both",
        { aggregateTypes: ["Order", "Cart"], eventTypes: ["Placed", "Filled"] },
        ["Order Placed", "Cart Filled"],
      ],
      ["nothing that there is", { eventTypes: ["Burnt"] }, []],
      ["exact names only", { aggregateTypes: ["order", "Ord%", "Order "] }, []],
    ])("reads a scope by %s", async (_, scope, expected) => {
      for (const [aggregateType, type] of [
        ["Order", "Placed"],
        ["Invoice", "Placed"],
        ["Cart", "Filled"],
        ["Order", "Paid"],
      ]) {
        await append(`${aggregateType}-1`, 1, { aggregateType, type });
      }

      const page = await read(0n, 100n, { scope });

      expect(page.events.map(({ aggregateType, type }) => `${aggregateType} ${type}`)).toEqual(expected);
      expect(page.through).toBe(100n);
    });

    it("counts only events in scope towards the limit", async () => {
      for (let round = 0; round < 3; round++) {
        await append("noise", 3, { aggregateType: "Noise" });
        await append("a", 1);
      }

      const page = await read(0n, 100n, { limit: 2, scope: { aggregateTypes: ["Order"] } });

      expect(page.events.map(({ aggregateVersion }) => aggregateVersion)).toEqual([1, 2]);
      expect(page.through).toBe(last(page.events));
    });

    it.each([
      ["one event", { limit: 1 }],
      ["three events", { limit: 3 }],
      ["as many as there are", { limit: 12 }],
      ["few bytes", { limit: 100, maxBytes: 25_000 }],
    ])("gives each event once when read page by page: %s", async (_, size) => {
      const recorded: RecordedEvent[] = [];
      for (let round = 0; round < 4; round++) {
        recorded.push(...(await append(`a-${round}`, 3, { payload: { text: noise(8_000) } })));
        await appendAndRollBack();
      }

      const seen: RecordedEvent[] = [];
      for (let after = 0n; after < last(recorded); ) {
        const page: LogPage = await read(after, last(recorded), size);
        expect(page.through).toBeGreaterThan(after);
        seen.push(...page.events);
        after = page.through;
      }

      expect(seen).toEqual(recorded);
    });

    it("sees what committed before the call, and nothing that did not", async () => {
      const held = await appendAndHold();
      const recorded = await append("a");

      const before = await read(0n, 100n);
      await held.commit();
      const after = await read(0n, 100n);

      expect(before.events).toEqual(recorded);
      expect(positionsOf(after.events)).toEqual([...held.positions, ...positionsOf(recorded)]);
    });
  });

  describe("scanPositions", () => {
    it("finds nothing in an empty log", async () => {
      expect(await log().scanPositions(0n)).toMatchObject({ contiguous: 0n, hole: false, highest: 0n });
    });

    it("finds the end of a log without holes", async () => {
      const head = last(await append("a", 5));

      expect(await log().scanPositions(0n)).toMatchObject({ contiguous: head, hole: false, highest: head });
      expect(await log().scanPositions(head - 2n)).toMatchObject({ contiguous: head, hole: false, highest: head });
      expect(await log().scanPositions(head)).toMatchObject({ contiguous: head, hole: false, highest: head });
    });

    it("stops at a hole that an append in flight leaves", async () => {
      const before = last(await append("a", 2));
      const held = await appendAndHold();
      const head = last(await append("b", 2));

      const scan = await log().scanPositions(0n);
      await held.commit();

      expect(scan).toMatchObject({ contiguous: before, hole: true, highest: head });
      expect(await log().scanPositions(0n)).toMatchObject({ contiguous: head, hole: false, highest: head });
    });

    it("stops at a hole that a rolled-back append left", async () => {
      const before = last(await append("a"));
      const [missing] = await appendAndRollBack();
      const head = last(await append("b"));

      expect(await log().scanPositions(before)).toMatchObject({ contiguous: before, hole: true, highest: head });
      expect(await log().scanPositions(missing ?? 0n)).toMatchObject({ contiguous: head, hole: false, highest: head });
    });

    it("sees no hole where nothing visible follows", async () => {
      const head = last(await append("a"));
      await appendAndRollBack();

      expect(await log().scanPositions(0n)).toMatchObject({ contiguous: head, hole: false, highest: head });
    });

    it("gets through a long log in steps", async () => {
      let head = 0n;
      for (let round = 0; round < 3; round++) head = last(await append("a", 1_000));

      let reached = 0n;
      for (let steps = 0; reached < head && steps < 3_000; steps++) {
        const scan = await log().scanPositions(reached);
        expect(scan).toMatchObject({ hole: false, highest: head });
        expect(scan.contiguous).toBeGreaterThan(reached);
        reached = scan.contiguous;
      }

      expect(reached).toBe(head);
    });
  });

  describe("inFlightAppenders", () => {
    it("lists nobody at rest, whatever sessions the store itself holds", async () => {
      await append("a");
      const session = await setup().other.openControlSession();
      await session.register({ workerId: "00000000-0000-4000-8000-000000000001", consumers: [] });
      await session.election.tick();

      const { appenders } = await log().inFlightAppenders();
      await session.close();

      expect(appenders).toEqual([]);
    });

    it("lists an append from the moment it draws its position until its outcome is visible", async () => {
      const held = await appendAndHold();
      const during = await log().inFlightAppenders();
      await held.commit();
      const afterwards = await log().inFlightAppenders();

      expect(during.appenders).toEqual([
        {
          id: expect.any(String),
          prepared: false,
          pid: expect.any(Number),
          applicationName: expect.any(String),
          ageMs: expect.any(Number),
        },
      ]);
      expect(afterwards.appenders).toEqual([]);
      expect(positionsOf((await read(0n, 100n)).events)).toEqual(held.positions);
    });

    it("forgets an append that was rolled back", async () => {
      await appendAndRollBack();

      expect((await log().inFlightAppenders()).appenders).toEqual([]);
    });

    it("knows an append by the same id until it ends, and two by two ids", async () => {
      const first = await appendAndHold("a");
      const [before] = (await log().inFlightAppenders()).appenders;
      const second = await appendAndHold("b");
      const both = (await log().inFlightAppenders()).appenders.map(({ id }) => id);
      await second.rollback();
      const [after] = (await log().inFlightAppenders()).appenders;
      await first.rollback();

      expect(new Set(both).size).toBe(2);
      expect(both).toContain(before?.id);
      expect(after?.id).toBe(before?.id);
    });

    it("leaves out a transaction that only reads", async () => {
      await append("a");
      const held = await setup().begin();
      await setup().store.readStream({ aggregateType: "Order", aggregateId: "a" }, {}, { tx: held.tx });

      const { appenders } = await log().inFlightAppenders();
      await held.rollback();

      expect(appenders).toEqual([]);
    });

    it("tells how long an append has been open", async () => {
      const held = await appendAndHold();
      await setup().elapse(30);
      const [appender] = (await log().inFlightAppenders()).appenders;
      await held.rollback();

      expect(appender?.ageMs).toBeGreaterThanOrEqual(30);
    });

    it("says with every answer that this is one and the same run of a server that takes writes", async () => {
      const state = { recovering: false, serverRun: (await log().scanPositions(0n)).serverRun };

      expect(await log().inFlightAppenders()).toMatchObject(state);
      expect(await setup().other.inFlightAppenders()).toMatchObject(state);
      expect(await setup().other.scanPositions(0n)).toMatchObject(state);
    });

    it("lists a prepared append, which no process runs", async (context) => {
      const held = await appendAndHold();
      if (!held.prepare) return endAndSkip(held, context);
      const [before] = (await log().inFlightAppenders()).appenders;

      await held.prepare();

      const [after] = (await log().inFlightAppenders()).appenders;
      await held.rollback();
      expect(before).toMatchObject({ prepared: false });
      expect(after).toMatchObject({ prepared: true, pid: null });
      expect((await log().inFlightAppenders()).appenders).toEqual([]);
    });

    it("tells a restarted server from the one before", async (context) => {
      const { restart } = setup();
      if (!restart) return context.skip();
      const before = await log().inFlightAppenders();

      await restart();

      expect((await log().inFlightAppenders()).serverRun).not.toBe(before.serverRun);
    });
  });

  describe("the settled position that follows from it", () => {
    const start = async () => beginSettling(0n, await log().latestPosition());
    const look = async (state: SettledState) => {
      const scanned = observeScan(state, await log().scanPositions(state.position));
      return scanned.hole ? observeAppenders(scanned, await log().inFlightAppenders()) : scanned;
    };

    it("waits for an append in flight, and passes it when it commits", async () => {
      const before = last(await append("a"));
      let state = await look(await start());
      const held = await appendAndHold();
      const head = last(await append("b"));

      state = await look(await look(state));
      expect(state.position).toBe(before);

      await held.commit();
      state = await look(await look(state));
      expect(state).toEqual({ position: head, hole: null });
      expect((await read(before, state.position)).events).toHaveLength(2);
    });

    it("passes a rolled-back append at once", async () => {
      await append("a");
      await appendAndRollBack();
      const head = last(await append("b"));

      expect(await look(await look(await start()))).toEqual({ position: head, hole: null });
    });

    it("does not wait for appends that came later", async () => {
      await append("a");
      const early = await appendAndHold("early");
      const head = last(await append("b"));
      const state = await look(await start());
      const late = await appendAndHold("late");
      await early.rollback();

      const settled = await look(await look(state));
      await late.rollback();

      expect(settled.position).toBe(head);
    });

    it("waits for an append that is prepared while it waits", async (context) => {
      await append("a");
      const held = await appendAndHold();
      if (!held.prepare) return endAndSkip(held, context);
      const head = last(await append("b"));
      let state = await look(await start());

      await held.prepare();
      for (let looks = 0; looks < 3; looks++) state = await look(state);
      expect(state.position).toBeLessThan(held.positions[0] as bigint);

      await held.commit();
      expect((await look(await look(state))).position).toBe(head);
    });
  });

  describe("missingPositions", () => {
    it("finds none where none is missing", async () => {
      const head = last(await append("a", 3));

      expect(await log().missingPositions(0n, head)).toEqual([]);
      expect(await log().missingPositions(head, head)).toEqual([]);
    });

    it("finds what was rolled back, as ranges", async () => {
      await append("a");
      const lone = await appendAndRollBack();
      await append("a");
      const three = await appendAndRollBack(3);
      const head = last(await append("a"));

      expect(await log().missingPositions(0n, head)).toEqual([rangeOf(lone), rangeOf(three)]);
    });

    it("looks after the one position and up to the other", async () => {
      await append("a");
      const [first, second, third] = (await appendAndRollBack(3)) as [bigint, bigint, bigint];
      await append("a");

      expect(await log().missingPositions(first, second)).toEqual([{ first: second, last: second }]);
      expect(await log().missingPositions(second, third)).toEqual([{ first: third, last: third }]);
    });
  });

  describe("firstPositionSince", () => {
    it("finds none in an empty log, and none in the future", async () => {
      expect(await log().firstPositionSince(new Date(0))).toBeNull();

      const [event] = await append("a");
      expect(await log().firstPositionSince(new Date((event?.createdAt.getTime() ?? 0) + 60_000))).toBeNull();
    });

    it("finds the first event recorded at that time or later", async () => {
      const [first] = await append("a");
      await setup().elapse(20);
      const [second] = await append("a");
      await setup().elapse(20);
      await append("a");

      expect(await log().firstPositionSince(new Date(0))).toBe(first?.globalPosition);
      expect(await log().firstPositionSince(second?.createdAt ?? new Date(0))).toBe(second?.globalPosition);
    });

    it("goes by log order where times are out of order", async () => {
      await append("a");
      await setup().elapse(20);
      const held = await setup().begin();
      await setup().elapse(20);
      const [late] = await append("b");
      const { events } = await setup().store.append([sampleEvent({ aggregateId: "c" })], { tx: held.tx });
      await held.commit();
      const [early] = events;

      // `early` stands behind `late` in the log, although its transaction began before.
      expect(await log().firstPositionSince(early?.createdAt ?? new Date(0))).toBe(late?.globalPosition);
    });
  });
}

function positionsOf(events: readonly RecordedEvent[]): bigint[] {
  return events.map(({ globalPosition }) => globalPosition);
}

function last(events: readonly RecordedEvent[]): bigint {
  return events.at(-1)?.globalPosition ?? 0n;
}

function rangeOf(positions: readonly bigint[]): { first: bigint | undefined; last: bigint | undefined } {
  return { first: positions.at(0), last: positions.at(-1) };
}

/** Text that does not compress, whatever the store does to it. Repeats itself from run to run. */
function noise(length: number): string {
  let state = 1;
  let text = "";
  while (text.length < length) {
    state = (state * 48_271) % 2_147_483_647;
    text += state.toString(36);
  }
  return text.slice(0, length);
}

async function endAndSkip(held: { rollback(): Promise<void> }, context: { skip(): void }): Promise<void> {
  await held.rollback();
  context.skip();
}
