import { describe, expect, it } from "vitest";
import { sampleEvent, sampleEvents } from "../sample-events.ts";
import type { StoreSetup } from "../store-setup.ts";
import { order, orderActions } from "./order-actions.ts";

/** Reading. */
export function readStreamCases<Tx>(setup: () => StoreSetup<Tx>): void {
  const { append } = orderActions(setup);

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

  describe("readStream of versions that no aggregate can have", () => {
    it.each([{ fromVersion: -1 }, { fromVersion: 1.5 }, { toVersion: -1 }, { toVersion: Number.POSITIVE_INFINITY }])(
      "refuses %j",
      async (range) => {
        await expect(setup().store.readStream(order, range)).rejects.toMatchObject({ code: "PUP_INVALID_OPTION" });
      },
    );
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
