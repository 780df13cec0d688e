import type { Batch, BatchDeadLetters, DeadLetter, RecordedEvent } from "@pup/core";
import { describe, expect, it } from "vitest";
import { openForEach } from "./open-for-each.ts";
import { ownConsumer } from "./own-consumer.ts";
import { sampleEvent } from "./sample-events.ts";
import type { StoreSetup } from "./store-setup.ts";
import { assignTo, workerA } from "./workers.ts";

const LONG_MS = 60_000;

const failure = { message: "No such customer.", stack: "Error: No such customer.\n    at handle", attempts: 5 };

/**
 * What every store promises about dead letters, `DeadLetters`, `DeadLetterQueue` and what a batch is given. Call it inside of a
 * `describe`.
 *
 * @param open - gives each test a store without events, checkpoints and letters
 */
export function deadLettersContract<Tx>(open: () => Promise<StoreSetup<Tx>>): void {
  const setup = openForEach(open);

  /** Takes a consumer over. */
  const own = (consumer = "orders"): Promise<Batch> => ownConsumer(setup().store, consumer);

  const inBatch = (batch: Batch, work: (letters: BatchDeadLetters, tx: Tx) => Promise<unknown>) =>
    setup().store.runBatch(batch, async (tx, letters) => {
      await work(letters, tx);
    });

  /** Appends one event to each of the aggregates, in this order. */
  const append = async (...aggregateIds: string[]): Promise<RecordedEvent[]> => {
    const { store } = setup();
    for (const aggregateId of aggregateIds) await store.append([sampleEvent({ aggregateId })]);
    const page = await store.readLog({
      after: 0n,
      upTo: await store.latestPosition(),
      limit: 100,
      maxBytes: 1_000_000,
    });
    return page.events();
  };

  const failed = (event: RecordedEvent, parked: boolean) => ({
    event,
    parked,
    failure: { ...failure, firstFailedAgoMs: 2_000 },
  });
  const waiting = (event: RecordedEvent) => ({ event, parked: true, failure: null });

  /** Aggregate o-1 is parked: its first event failed, two wait behind. An event of o-2 was skipped. */
  const fourLetters = async () => {
    const batch = await own();
    const events = await append("o-1", "o-2", "o-1", "o-1", "o-3");
    const [first, skipped, second, third, other] = events as [
      RecordedEvent,
      RecordedEvent,
      RecordedEvent,
      RecordedEvent,
      RecordedEvent,
    ];
    await inBatch(batch, (letters) =>
      letters.put([failed(first, true), failed(skipped, false), waiting(second), waiting(third)]),
    );
    return { batch, first, skipped, second, third, other };
  };

  const list = () => setup().other.listDeadLetters({ consumer: "orders" });
  const positionsOf = (letters: readonly DeadLetter[]) => letters.map(({ position }) => position);
  const due = async () => positionsOf((await list()).filter((letter) => letter.due));
  const aggregate = (event: RecordedEvent) => ({
    aggregateType: event.aggregateType,
    aggregateId: event.aggregateId,
  });

  describe("a letter", () => {
    it("says which event of which consumer failed how often, since when and why, and nothing of its payload", async () => {
      const { first, second } = await fourLetters();

      const [letter, , behind] = await list();

      expect(letter).toEqual({
        consumer: "orders",
        position: first.globalPosition,
        eventId: first.id,
        eventType: first.type,
        ...aggregate(first),
        parked: true,
        attempts: 5,
        failure: { message: failure.message, stack: failure.stack },
        firstFailedAt: expect.any(Date),
        lastFailedAt: expect.any(Date),
        due: false,
      });
      const { firstFailedAt, lastFailedAt } = letter as DeadLetter;
      expect(Number(lastFailedAt) - Number(firstFailedAt)).toBeCloseTo(2_000, -1);
      expect(behind).toMatchObject({
        position: second.globalPosition,
        parked: true,
        attempts: 0,
        failure: null,
        firstFailedAt: null,
        lastFailedAt: null,
      });
    });

    it("is there only together with the checkpoint of its batch", async () => {
      const batch = await own();
      const [event] = await append("o-1");

      const outcome = inBatch({ ...batch, to: 1n }, async (letters) => {
        await letters.put([failed(event as RecordedEvent, false)]);
        expect(await list()).toEqual([]);
        throw new Error("cannot");
      });

      await expect(outcome).rejects.toThrow("cannot");
      expect(await list()).toEqual([]);
    });

    it("is refused with the batch when the consumer has been taken over", async () => {
      const old = await own();
      await own();
      const [event] = await append("o-1");

      await expect(
        inBatch(old, (letters) => letters.put([failed(event as RecordedEvent, false)])),
      ).rejects.toMatchObject({ code: "PUP_FENCED" });

      expect(await list()).toEqual([]);
    });

    it("keeps texts that a database may not like", async () => {
      const batch = await own();
      const [event] = await append("o-1");
      const strange = { message: "NUL \0, half a pair \ud800, 'quotes' and \\", stack: null, attempts: 1 };

      await inBatch(batch, (letters) =>
        letters.put([{ event: event as RecordedEvent, parked: false, failure: { ...strange, firstFailedAgoMs: 0 } }]),
      );

      expect((await list())[0]?.failure?.message).toBe("NUL \u{fffd}, half a pair \u{fffd}, 'quotes' and \\");
    });

    it.each([0, 1.5, 10_001])("are not listed in pages of %d", async (limit) => {
      await expect(setup().store.listDeadLetters({ limit })).rejects.toMatchObject({ code: "PUP_INVALID_OPTION" });
    });

    it("that is written again, after a reset, says the newer; one that only waits changes nothing", async () => {
      const { batch, first } = await fourLetters();

      await inBatch(batch, (letters) => letters.put([waiting(first)]));
      expect((await list())[0]).toMatchObject({ attempts: 5 });
      await inBatch(batch, (letters) =>
        letters.put([{ ...failed(first, false), failure: { ...failure, attempts: 2, firstFailedAgoMs: 0 } }]),
      );

      expect((await list())[0]).toMatchObject({ attempts: 2, parked: false });
    });
  });

  describe("listDeadLetters", () => {
    it("lists by consumer and position, page by page", async () => {
      const batch = await own();
      const early = await own("earlier");
      const events = await append("o-1", "o-2", "o-3");
      for (const each of [batch, early]) {
        await inBatch(each, (letters) => letters.put(events.map((event) => failed(event, false))));
      }
      const { other } = setup();

      const all = await other.listDeadLetters();
      const first = await other.listDeadLetters({ limit: 4 });
      const second = await other.listDeadLetters({ limit: 4, after: first.at(-1) });

      expect(all.map(({ consumer }) => consumer)).toEqual([...Array(3).fill("earlier"), ...Array(3).fill("orders")]);
      expect([...first, ...second]).toEqual(all);
    });

    it("narrows to a consumer and to an aggregate", async () => {
      const { first } = await fourLetters();

      const ofAggregate = await setup().store.listDeadLetters({ consumer: "orders", aggregate: aggregate(first) });

      expect(ofAggregate).toHaveLength(3);
      expect(await setup().store.listDeadLetters({ consumer: "nobody" })).toEqual([]);
    });
  });

  describe("parked aggregates", () => {
    it("are told among those of a batch", async () => {
      const { batch, first, skipped, other } = await fourLetters();

      await inBatch(batch, async (letters) => {
        expect(await letters.parkedAmong([first, skipped, other, first])).toEqual([aggregate(first)]);
        expect(await letters.parkedAmong([other])).toEqual([]);
      });
    });

    it("are none where nothing is parked, or only another consumer's", async () => {
      const { first, skipped } = await fourLetters();
      const batch = await own("invoices");

      await inBatch(batch, async (letters) => {
        expect(await letters.parkedAmong([first])).toBeNull();
        await letters.put([failed(skipped, false)]);
        expect(await letters.parkedAmong([skipped])).toBeNull();
      });
    });

    it("count at once in the batch that parks them", async () => {
      const batch = await own();
      const [event] = (await append("o-1")) as [RecordedEvent];

      await inBatch(batch, async (letters) => {
        await letters.put([failed(event, true)]);
        expect(await letters.parkedAmong([event])).toEqual([aggregate(event)]);
      });
    });
  });

  describe("retryDeadLetters", () => {
    it("makes a skipped letter due by itself", async () => {
      const { skipped } = await fourLetters();

      expect(await setup().other.retryDeadLetters({ consumer: "orders", positions: [skipped.globalPosition] })).toBe(1);

      expect(await due()).toEqual([skipped.globalPosition]);
    });

    it("begins a parked aggregate with its first letter, whichever was selected", async () => {
      const { first, third } = await fourLetters();

      expect(await setup().other.retryDeadLetters({ consumer: "orders", positions: [third.globalPosition] })).toBe(1);

      expect(await due()).toEqual([first.globalPosition]);
    });

    it("takes all letters of a consumer, or those of an aggregate", async () => {
      const { first, skipped } = await fourLetters();
      const { other } = setup();

      expect(await other.retryDeadLetters({ consumer: "orders", aggregate: aggregate(skipped) })).toBe(1);
      expect(await due()).toEqual([skipped.globalPosition]);
      expect(await other.retryDeadLetters({ consumer: "orders" })).toBe(2);
      expect(await due()).toEqual([first.globalPosition, skipped.globalPosition]);
    });

    it("does nothing where there is nothing", async () => {
      await fourLetters();
      const { other } = setup();

      expect(await other.retryDeadLetters({ consumer: "nobody" })).toBe(0);
      expect(await other.retryDeadLetters({ consumer: "orders", positions: [] })).toBe(0);
      expect(await other.retryDeadLetters({ consumer: "orders", positions: [999n] })).toBe(0);
    });

    it("brings no letter back that is handled at the same time", async () => {
      const { batch, skipped } = await fourLetters();
      let retrying: Promise<number> | undefined;

      await inBatch(batch, async (letters) => {
        await letters.resolve(skipped.globalPosition);
        retrying = setup().other.retryDeadLetters({ consumer: "orders", aggregate: aggregate(skipped) });
        // It asks for the letter while this batch has its row.
        await setup().elapse(50);
      });

      expect(await retrying).toBe(0);
      expect(positionsOf(await list())).not.toContain(skipped.globalPosition);
    });

    it("is told to the worker that has the consumer", async () => {
      await fourLetters();
      const session = await setup().store.openControlSession();
      await session.register({ workerId: workerA, consumers: ["orders", "invoices"] });
      await assignTo(session, { orders: workerA, invoices: workerA });
      const sync = () => session.sync({ workerId: workerA, beat: false, heartbeatTimeoutMs: LONG_MS });
      expect(await sync()).toMatchObject({ deadLettersDue: [] });

      await setup().other.retryDeadLetters({ consumer: "orders" });

      expect(await sync()).toMatchObject({ deadLettersDue: ["orders"] });
      await session.close();
    });
  });

  describe("a due letter", () => {
    it("comes in position order, and tells how things stand", async () => {
      const { batch, first, skipped } = await fourLetters();
      const { store } = setup();
      expect(await store.lookForDeadLetters("orders")).toEqual({ parked: true, due: false });
      expect(await store.nextDueDeadLetter("orders")).toBeNull();
      await store.retryDeadLetters({ consumer: "orders" });

      expect(await store.lookForDeadLetters("orders")).toEqual({ parked: true, due: true });
      expect(await store.nextDueDeadLetter("orders")).toMatchObject({ position: first.globalPosition, attempts: 5 });
      await inBatch(batch, (letters) => letters.fail(first.globalPosition, failure));

      expect(await store.nextDueDeadLetter("orders")).toMatchObject({ position: skipped.globalPosition });
      expect(await store.lookForDeadLetters("nobody")).toEqual({ parked: false, due: false });
    });

    it("that is resolved is gone, and the next of its parked aggregate is due, until the aggregate is free", async () => {
      const { batch, first, skipped, second, third } = await fourLetters();
      await setup().store.retryDeadLetters({ consumer: "orders", aggregate: aggregate(first) });

      for (const [event, next] of [
        [first, [second.globalPosition]],
        [second, [third.globalPosition]],
        [third, []],
      ] as const) {
        await inBatch(batch, async (letters) => expect(await letters.resolve(event.globalPosition)).toBe(true));
        expect(await due()).toEqual(next);
      }

      expect(positionsOf(await list())).toEqual([skipped.globalPosition]);
      expect(await setup().store.lookForDeadLetters("orders")).toEqual({ parked: false, due: false });
    });

    it("that fails again stays, says why, and is due no longer", async () => {
      const { batch, first } = await fourLetters();
      await setup().store.retryDeadLetters({ consumer: "orders", aggregate: aggregate(first) });
      const [before] = await list();

      await inBatch(batch, (letters) => letters.fail(first.globalPosition, { message: "Still not.", stack: null }));

      const [after] = await list();
      expect(after).toMatchObject({ attempts: 6, failure: { message: "Still not.", stack: null }, due: false });
      expect(after?.firstFailedAt).toEqual(before?.firstFailedAt);
      expect(await due()).toEqual([]);
    });

    it("that waited and then fails has a first and a last time", async () => {
      const { batch, first, second } = await fourLetters();
      await inBatch(batch, (letters) => letters.resolve(first.globalPosition));

      await inBatch(batch, (letters) => letters.fail(second.globalPosition, failure));

      const [letter] = (await list()).filter(({ position }) => position === second.globalPosition);
      expect(letter).toMatchObject({ attempts: 1, firstFailedAt: expect.any(Date), lastFailedAt: expect.any(Date) });
    });

    it("that was discarded meanwhile is not found any more", async () => {
      const { batch, skipped } = await fourLetters();
      await setup().store.retryDeadLetters({ consumer: "orders" });
      await setup().other.discardDeadLetters({ consumer: "orders", positions: [skipped.globalPosition] });

      await inBatch(batch, async (letters) => expect(await letters.resolve(skipped.globalPosition)).toBe(false));
    });
  });

  describe("discardDeadLetters", () => {
    it("deletes what was selected and nothing else", async () => {
      const { first, skipped } = await fourLetters();
      const { other } = setup();

      expect(await other.discardDeadLetters({ consumer: "orders", positions: [skipped.globalPosition] })).toBe(1);
      expect(await due()).toEqual([]);
      expect(await other.discardDeadLetters({ consumer: "orders", aggregate: aggregate(first) })).toBe(3);

      expect(await list()).toEqual([]);
      expect(await other.discardDeadLetters({ consumer: "orders" })).toBe(0);
    });

    it("lets go on what waited behind the first one", async () => {
      const { first, second } = await fourLetters();

      await setup().other.discardDeadLetters({ consumer: "orders", positions: [first.globalPosition] });

      expect(await due()).toEqual([second.globalPosition]);
    });

    it("of one in the middle leaves the aggregate parked", async () => {
      const { batch, first, second } = await fourLetters();

      await setup().other.discardDeadLetters({ consumer: "orders", positions: [second.globalPosition] });

      expect(await due()).toEqual([]);
      await inBatch(batch, async (letters) => expect(await letters.parkedAmong([first])).toEqual([aggregate(first)]));
    });

    it("waits for a batch under way, and then lets go on what that has queued", async () => {
      const batch = await own();
      const [first, second] = (await append("o-1", "o-1")) as [RecordedEvent, RecordedEvent];
      await inBatch(batch, (letters) => letters.put([failed(first, true)]));
      let discarding: Promise<number> | undefined;

      await inBatch(batch, async (letters) => {
        expect(await letters.parkedAmong([second])).toEqual([aggregate(second)]);
        discarding = setup().other.discardDeadLetters({ consumer: "orders", positions: [first.globalPosition] });
        await letters.put([waiting(second)]);
      });

      expect(await discarding).toBe(1);
      expect(await due()).toEqual([second.globalPosition]);
    });
  });
}
