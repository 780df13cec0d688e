import type { NewEvent } from "@pup/core";
import { describe, expect, it } from "vitest";
import { range, sampleEvent, sampleEvents } from "../sample-events.ts";
import type { StoreSetup } from "../store-setup.ts";
import { idOf, orderActions } from "./order-actions.ts";

/** Appends of event ids that are there already. */
export function repeatedAppendCases<Tx>(setup: () => StoreSetup<Tx>): void {
  const { append, readOrder } = orderActions(setup);

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

    it("answers with what it was given now, at the first places", async () => {
      const [first] = (await append(twoEvents())).events;
      const [, second] = twoEvents();

      const { events } = await append([
        sampleEvent({ id: idOf(1), type: "OrderMoved", payload: 1 }),
        second as NewEvent,
      ]);

      expect(events[0]).toEqual({ ...first, type: "OrderMoved", payload: 1 });
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
}
