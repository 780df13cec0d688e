import { describe, expect, it } from "vitest";
import { sampleEvent } from "../sample-events.ts";
import type { StoreSetup } from "../store-setup.ts";
import { idOf, order, orderActions } from "./order-actions.ts";

/** Appends that commit together with what else a caller does. */
export function callerTransactionCases<Tx>(setup: () => StoreSetup<Tx>): void {
  const { append, readOrder } = orderActions(setup);

  /** Waits until so many appends are under way: the held one, and those that wait for it. */
  const untilInFlight = async (count: number) => {
    for (let looks = 0; looks < 500; looks++) {
      await setup().elapse(5);
      const { appenders } = await setup().store.inFlightAppenders();
      if (appenders.length === count) return;
    }
    throw new Error(`Expected ${count} appends to be under way.`);
  };

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

    /** The aggregate has version 1, and an append to version 2 is under way. */
    const holdVersion2 = async () => {
      await append([sampleEvent()]);
      const held = await setup().begin();
      await append([sampleEvent()], { tx: held.tx });
      return held;
    };

    it("makes an append elsewhere that expects the version so far wait, and refuses it after a commit", async () => {
      const held = await holdVersion2();
      const waiting = append([sampleEvent()], { expectedVersion: 1 });
      const refused = expect(waiting).rejects.toMatchObject({ code: "PUP_CONCURRENCY_CONFLICT", actual: 2 });
      await untilInFlight(2);
      await held.commit();

      await refused;
    });

    it("makes an append elsewhere that expects the version so far wait, and takes it after a rollback", async () => {
      const held = await holdVersion2();
      const waiting = append([sampleEvent()], { expectedVersion: 1 });
      await untilInFlight(2);
      await held.rollback();

      expect(await waiting).toMatchObject({ fromVersion: 1, toVersion: 2 });
    });

    it("refuses an append elsewhere at once that expects a version nobody can see yet", async () => {
      const held = await holdVersion2();
      const early = append([sampleEvent()], { expectedVersion: 2 });

      await expect(early).rejects.toMatchObject({ code: "PUP_CONCURRENCY_CONFLICT", actual: 1 });
      await held.rollback();
    });

    it("makes an append elsewhere that expects nothing wait, and puts it behind", async () => {
      const held = await holdVersion2();
      const waiting = append([sampleEvent()]);
      await untilInFlight(2);
      await held.commit();

      expect(await waiting).toMatchObject({ fromVersion: 2, toVersion: 3 });
    });

    it("makes an append of the same id to another aggregate wait for the outcome, and refuses it after a commit", async () => {
      const held = await setup().begin();
      await append([sampleEvent({ id: idOf(1) })], { tx: held.tx });

      const waiting = append([sampleEvent({ id: idOf(1), aggregateId: "order-2" })]);
      const refused = expect(waiting).rejects.toMatchObject({ code: "PUP_DUPLICATE_EVENT_ID" });
      await untilInFlight(2);
      await held.commit();

      await refused;
    });

    it("makes an append of the same id to another aggregate wait for the outcome, and takes it after a rollback", async () => {
      const held = await setup().begin();
      await append([sampleEvent({ id: idOf(1) })], { tx: held.tx });

      const waiting = append([sampleEvent({ id: idOf(1), aggregateId: "order-2" })]);
      await untilInFlight(2);
      await held.rollback();

      expect(await waiting).toMatchObject({ toVersion: 1, duplicate: false });
    });

    it("breaks with its transaction when another one has committed the same new id to another aggregate meanwhile", async () => {
      const first = await setup().begin();
      const second = await setup().begin();
      await append([sampleEvent({ id: idOf(1) })], { tx: first.tx });
      const waiting = append([sampleEvent({ id: idOf(1), aggregateId: "order-2" })], { tx: second.tx });
      const broken = expect(waiting).rejects.toMatchObject({ code: "23505" });
      await untilInFlight(2);
      await first.commit();
      await broken;

      // Broken, it holds nothing any more.
      expect(await append([sampleEvent({ aggregateId: "order-2" })])).toMatchObject({ toVersion: 1 });
      await second.rollback();
    });

    it("that was refused holds no ids", async () => {
      await append([sampleEvent({ id: idOf(1) })]);
      const held = await setup().begin();
      const both = [
        sampleEvent({ id: idOf(2), aggregateId: "order-2" }),
        sampleEvent({ id: idOf(1), aggregateId: "order-2" }),
      ];
      await expect(append(both, { tx: held.tx })).rejects.toMatchObject({ code: "PUP_DUPLICATE_EVENT_ID" });

      const elsewhere = await append([sampleEvent({ id: idOf(2), aggregateId: "order-3" })]);
      await held.rollback();

      expect(elsewhere).toMatchObject({ toVersion: 1, duplicate: false });
    });

    it("makes an append elsewhere that expects no stream wait, also where there is one, and refuses it", async () => {
      const held = await holdVersion2();
      const waiting = append([sampleEvent()], { expectedVersion: "no-stream" });
      const refused = expect(waiting).rejects.toMatchObject({ code: "PUP_CONCURRENCY_CONFLICT", actual: 2 });
      await untilInFlight(2);
      await held.commit();

      await refused;
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
}
