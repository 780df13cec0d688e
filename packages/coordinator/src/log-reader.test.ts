import type { EventScope, GlobalPosition, LogPage, NewEvent, ReadLogRequest, RecordedEvent } from "@pup/core";
import { createMemoryStore } from "@pup/testing";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { orderPlaced } from "../test/fleet.ts";
import { pageOf } from "../test/log-pages.ts";
import { createLogReader, type LogPlace, type NextBatchRequest } from "./log-reader.ts";

const MANY_BYTES = 8 * 1024 * 1024;
const READ_AHEAD_BYTES = 16 * 1024 * 1024;

/** A reader of a log in memory, whose store answers when it is told to. */
async function openReader(events: readonly NewEvent[], readAheadBytes = READ_AHEAD_BYTES, pageEvents = 1_000) {
  const store = createMemoryStore();
  for (const together of runsOf(events)) await store.append(together);
  const requests: ReadLogRequest[] = [];
  const pages: LogPage[] = [];
  let gate: Promise<void> | null = null;
  let failsFrom: GlobalPosition | null = null;
  const reader = createLogReader({
    readAheadBytes,
    pageEvents,
    store: {
      async readLog(request) {
        requests.push(request);
        const page = await store.readLog(request);
        await gate;
        if (failsFrom !== null && request.after >= failsFrom) throw new Error("The line is cut.");
        pages.push(page);
        return page;
      },
    },
  });
  const readable = await store.latestPosition();
  return {
    reader,
    requests,
    readable,
    rowsRead: () => pages.reduce((rows, { positions }) => rows + positions.length, 0),
    /** Answers wait until this is called. */
    hold() {
      let release = () => {};
      gate = new Promise((resolve) => {
        release = () => {
          gate = null;
          resolve();
        };
      });
      return release;
    },
    /** Pages that begin there or later cannot be read; null: all can again. */
    fail(from: GlobalPosition | null) {
      failsFrom = from;
    },
    /** Reads one batch, as a consumer does that stands there. */
    async next(place: LogPlace, after: GlobalPosition, bounds: Partial<NextBatchRequest> = {}) {
      place.moveTo(after);
      const request = { after, upTo: readable, limit: 100, maxBytes: MANY_BYTES, readable, ...bounds };
      const batch = await place.read(request);
      return { ...batch, positions: batch.events.map(({ globalPosition }) => globalPosition) };
    },
  };
}

const orders = (count: number, event: Partial<NewEvent> = {}) =>
  Array.from({ length: count }, () => orderPlaced("o-1", event));

const range = (first: number, last: number) =>
  Array.from({ length: last - first + 1 }, (_, index) => BigInt(first + index));

describe("The log reader", () => {
  it("reads on while a batch is handled, so that the next one is there", async () => {
    const { reader, requests, next } = await openReader(orders(2_500));
    const place = reader.open({});

    await next(place, 0n, { limit: 1_000 });
    await reader.ended();
    const asked = requests.length;
    const second = await next(place, 1_000n, { limit: 1_000 });

    expect(requests.slice(0, asked).map(({ after }) => after)).toEqual([0n, 1_000n]);
    expect(second.positions).toEqual(range(1_001, 2_000));
  });

  it("gives small batches out of one page, and reads nothing twice", async () => {
    const { reader, rowsRead, next } = await openReader(orders(1_500));
    const place = reader.open({});
    const seen: bigint[] = [];
    for (let after = 0n; after < 1_500n; ) {
      const { positions, through } = await next(place, after, { limit: 70 });
      seen.push(...positions);
      after = through;
    }

    expect(seen).toEqual(range(1, 1_500));
    expect(rowsRead()).toBe(1_500);
  });

  it("reads once for all who stand at the same place, or in the same page", async () => {
    const { reader, rowsRead, requests, next } = await openReader(orders(500));
    const places = Array.from({ length: 8 }, () => reader.open({}));
    const batches = await Promise.all(places.map((place, index) => next(place, BigInt(index * 10))));

    expect(batches.map(({ positions }) => positions[0])).toEqual(range(0, 7).map((index) => index * 10n + 1n));
    expect(requests).toHaveLength(1);
    expect(rowsRead()).toBe(500);
  });

  it("goes on sharing with readers of different speed, as far apart as its memory allows", async () => {
    const { reader, rowsRead, next } = await openReader(orders(2_000));
    const paces = [100, 90, 70, 50, 45, 40, 35, 30].map((limit) => ({ place: reader.open({}), limit, at: 0n }));
    const seen = paces.map(() => [] as bigint[]);
    while (paces.some(({ at }) => at < 2_000n)) {
      for (const [index, pace] of paces.entries()) {
        if (pace.at >= 2_000n) continue;
        const { positions, through } = await next(pace.place, pace.at, { limit: pace.limit });
        seen[index]?.push(...positions);
        pace.at = through;
      }
    }

    for (const positions of seen) expect(positions).toEqual(range(1, 2_000));
    expect(rowsRead()).toBe(2_000);
  });

  it("shares among scopes that are the same, and reads for others by themselves", async () => {
    const { reader, requests, next } = await openReader(orders(10));
    const scopes: EventScope[] = [
      { aggregateTypes: ["Order", "Invoice"] },
      { aggregateTypes: ["Invoice", "Order", "Order"] },
      { eventTypes: ["OrderPlaced"] },
    ];
    const batches = await Promise.all(scopes.map((scope) => next(reader.open(scope), 0n)));

    for (const { positions } of batches) expect(positions).toEqual(range(1, 10));
    expect(requests).toHaveLength(2);
  });

  it("gives every consumer objects of its own", async () => {
    const { reader, next } = await openReader(orders(2, { payload: { tags: ["new"] } }));
    const [first, second] = [reader.open({}), reader.open({})];
    const spoilt = (await next(first, 0n)).events;
    const [event] = spoilt as [RecordedEvent<{ tags: string[] }>];
    event.payload.tags.push("spoilt");
    event.createdAt.setTime(0);
    (spoilt as RecordedEvent[]).length = 0;

    const { events } = await next(second, 0n);
    expect(events).toHaveLength(2);
    expect(events[0]?.payload).toEqual({ tags: ["new"] });
    expect(events[0]?.createdAt.getTime()).not.toBe(0);
  });

  it("gives a batch again that was not got past", async () => {
    const { reader, requests, next } = await openReader(orders(300));
    const place = reader.open({});
    await next(place, 0n);
    const again = await next(place, 0n, { upTo: 40n, limit: 50 });

    expect(again.positions).toEqual(range(1, 40));
    expect(again.through).toBe(40n);
    expect(requests).toHaveLength(1);
  });

  it("reads anew what must not come from its pages", async () => {
    const { reader, requests, next } = await openReader(orders(3));
    await next(reader.open({}), 0n);
    const { events, through } = await reader.readAnew({ after: 1n, upTo: 2n, limit: 1, maxBytes: 1 });

    expect(events.map(({ globalPosition }) => globalPosition)).toEqual([2n]);
    expect(through).toBe(2n);
    expect(requests).toHaveLength(2);
  });

  it("never reads further than it may", async () => {
    const { reader, requests, next } = await openReader(orders(100));
    const place = reader.open({});
    await next(place, 0n, { upTo: 10n, readable: 30n, limit: 5 });
    await next(place, 5n, { upTo: 30n, readable: 30n, limit: 100 });

    expect(requests.every(({ upTo }) => upTo === 30n)).toBe(true);
    expect((await next(place, 29n, { upTo: 30n, readable: 30n })).through).toBe(30n);
  });

  it("tells all who wait that reading failed", async () => {
    const { reader, next, fail } = await openReader(orders(10));
    const [first, second] = [reader.open({}), reader.open({})];
    fail(0n);
    const outcomes = await Promise.allSettled([next(first, 0n), next(second, 0n)]);
    expect(outcomes.map(({ status }) => status)).toEqual(["rejected", "rejected"]);
    fail(null);

    expect((await next(first, 0n)).positions).toEqual(range(1, 10));
  });

  it("tells nobody that reading ahead failed, and reads again when it is needed", async () => {
    const { reader, requests, next, fail } = await openReader(orders(2_000));
    const place = reader.open({});
    fail(1_000n);
    expect((await next(place, 0n, { limit: 1_000 })).through).toBe(1_000n);
    await reader.ended();
    expect(requests.map(({ after }) => after)).toEqual([0n, 1_000n]);
    fail(null);

    expect((await next(place, 1_000n, { limit: 1_000 })).positions).toEqual(range(1_001, 2_000));
    expect(requests).toHaveLength(3);
  });

  it("forgets its pages", async () => {
    const { reader, requests, next } = await openReader(orders(10));
    const place = reader.open({});
    await next(place, 0n);
    reader.forget();
    await next(place, 0n);

    expect(requests).toHaveLength(2);
  });

  it("keeps no page that was on its way when it forgot everything, and lets nobody else wait for it", async () => {
    const { reader, requests, next, hold } = await openReader(orders(10));
    const [first, second] = [reader.open({}), reader.open({})];
    const release = hold();
    const before = next(first, 0n);
    reader.forget();
    const after = next(second, 0n);
    release();
    await Promise.all([before, after]);
    expect(requests).toHaveLength(2);

    const releaseAgain = hold();
    const another = next(first, 10n, { upTo: 20n, readable: 20n });
    reader.forget();
    releaseAgain();
    await another;
    await next(second, 10n, { upTo: 20n, readable: 20n });
    expect(requests).toHaveLength(4);
  });

  it("reads what is asked for and nothing else when it may keep nothing", async () => {
    const { reader, requests, next } = await openReader(orders(300), 0);
    const place = reader.open({});
    await next(place, 0n, { limit: 10, upTo: 200n, maxBytes: 5_000 });
    await next(place, 10n, { limit: 10 });

    expect(requests.map(({ after, limit }) => ({ after, limit }))).toEqual([
      { after: 0n, limit: 10 },
      { after: 10n, limit: 10 },
    ]);
    expect(requests[0]?.maxBytes).toBe(5_000);
  });

  it("goes on where single events are larger than all that it may keep", async () => {
    const large = orders(12, { payload: { text: "x".repeat(200_000) } });
    const { reader, rowsRead, next } = await openReader(large, 300_000);
    const places = [reader.open({}), reader.open({})];
    for (let after = 0n; after < 12n; after++) {
      const batches = await Promise.all(places.map((place) => next(place, after, { limit: 1 })));
      for (const { positions } of batches) expect(positions).toEqual([after + 1n]);
    }

    // At most once for each of them.
    expect(rowsRead()).toBeLessThanOrEqual(24);
  });

  describe("at the head of the log", () => {
    const head = { after: 10n, page: pageOf(range(11, 14), 14n) };

    it("takes what has just become readable from where it was seen, for every scope", async () => {
      const { reader, requests, next } = await openReader([]);
      const [all, some, none] = [{}, { aggregateTypes: ["Order"] }, { eventTypes: ["Paid"] }].map((scope) =>
        reader.open(scope),
      ) as [LogPlace, LogPlace, LogPlace];
      reader.offer(head);
      const bounds = { upTo: 14n, readable: 14n };

      expect((await next(all, 10n, bounds)).positions).toEqual(range(11, 14));
      expect((await next(some, 12n, bounds)).positions).toEqual(range(13, 14));
      expect(await next(none, 10n, bounds)).toMatchObject({ events: [], through: 14n });
      expect((await next(all, 10n, { ...bounds, limit: 3 })).through).toBe(13n);
      expect(requests).toHaveLength(0);
    });

    it("reads for those who stand elsewhere, and once it is forgotten", async () => {
      const { reader, requests, next } = await openReader(orders(20));
      const place = reader.open({});
      reader.offer(head);
      await next(place, 9n);
      expect(requests).toHaveLength(1);
      await next(reader.open({ aggregateTypes: ["Order"] }), 14n);
      expect(requests).toHaveLength(2);
      reader.forget();
      await next(place, 10n);
      expect(requests).toHaveLength(3);
    });
  });

  it("gives each reader every event of its scope, once and in order, whatever they share", async () => {
    const someReader = fc.record({
      scope: fc.constantFrom<EventScope>({}, { aggregateTypes: ["Order"] }, { eventTypes: ["Paid"] }),
      start: fc.integer({ min: 0, max: 40 }),
      limits: fc.array(fc.integer({ min: 1, max: 12 }), { minLength: 1, maxLength: 5 }),
      failures: fc.nat({ max: 3 }),
    });
    const someLog = fc.array(fc.record({ order: fc.boolean(), paid: fc.boolean(), length: fc.nat({ max: 300 }) }), {
      minLength: 1,
      maxLength: 60,
    });

    await fc.assert(
      fc.asyncProperty(
        someLog,
        fc.array(someReader, { minLength: 1, maxLength: 5 }),
        fc.constantFrom(0, 1_000, 5_000, READ_AHEAD_BYTES),
        fc.integer({ min: 1, max: 15 }),
        fc.scheduler(),
        async (log, readers, readAheadBytes, pageEvents, scheduler) => {
          const events = log.map(({ order, paid, length }, index) =>
            orderPlaced(`a-${index}`, {
              aggregateType: order ? "Order" : "Invoice",
              type: paid ? "Paid" : "Placed",
              payload: { text: "x".repeat(length) },
            }),
          );
          const { reader, readable, next } = await openReader(events, readAheadBytes, pageEvents);
          const lives = readers.map(async ({ scope, start, limits, failures }) => {
            const place = reader.open(scope);
            const seen: bigint[] = [];
            let at = BigInt(Math.min(start, events.length - 1));
            const from = at;
            for (let turn = 0; at < readable; turn++) {
              await scheduler.schedule(Promise.resolve(), "turn");
              const { positions, through } = await next(place, at, { limit: limits[turn % limits.length] });
              // A batch that failed is read again.
              if (turn < failures) continue;
              seen.push(...positions);
              at = through;
            }
            place.close();
            return { scope, from, seen };
          });
          const ended = Promise.all(lives);
          await scheduler.waitFor(ended);
          for (const { scope, from, seen } of await ended) expect(seen).toEqual(positionsIn(events, scope, from));
        },
      ),
      { numRuns: 100 },
    );
  });
});

/** Neighbours of the same aggregate can be appended together. */
function runsOf(events: readonly NewEvent[]): NewEvent[][] {
  const runs: NewEvent[][] = [];
  for (const event of events) {
    const run = runs.at(-1);
    if (run?.[0]?.aggregateId === event.aggregateId) run.push(event);
    else runs.push([event]);
  }
  return runs;
}

/** Where the events of a scope stand in a log that was appended in this order. */
function positionsIn(events: readonly NewEvent[], scope: EventScope, after: GlobalPosition): GlobalPosition[] {
  return events.flatMap(({ aggregateType, type }, index) => {
    const position = BigInt(index + 1);
    const isInScope =
      (scope.aggregateTypes?.includes(aggregateType) ?? true) && (scope.eventTypes?.includes(type) ?? true);
    return isInScope && position > after ? [position] : [];
  });
}
