import type { RecordedEvent } from "@pup/core";
import { describe, expect, it } from "vitest";
import type { StoreSetup } from "../store-setup.ts";
import { last, logActions, type PageRead, positionsOf } from "./log-actions.ts";

const MANY_BYTES = 8 * 1024 * 1024;

/** Pages. */
export function readLogCases<Tx>(setup: () => StoreSetup<Tx>): void {
  const { append, appendAndHold, appendAndRollBack, read } = logActions(setup);

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

    it("says where its events stand and how large they are", async () => {
      const recorded = await append("a", 3, { payload: { text: noise(1_000) } });
      const request = { after: 0n, upTo: last(recorded), limit: 100, maxBytes: MANY_BYTES };

      const { positions, sizes, memoryBytes } = await setup().store.readLog(request);

      expect(positions).toEqual(positionsOf(recorded));
      expect(sizes).toHaveLength(3);
      for (const size of sizes) expect(size).toBeGreaterThan(500);
      expect(memoryBytes).toBeGreaterThan(1_500);
      // As many as fit by their sizes are what a page of so many bytes holds.
      const [one = 0, two = 0] = sizes;
      expect((await read(0n, last(recorded), { maxBytes: one + two })).events).toHaveLength(2);
      expect((await read(0n, last(recorded), { maxBytes: one + two - 1 })).events).toHaveLength(1);
    });

    it("makes its events anew for each reader, all or some of them", async () => {
      const recorded = await append("a", 4);
      const page = await setup().store.readLog({ after: 0n, upTo: 100n, limit: 100, maxBytes: MANY_BYTES });
      const [spoilt] = await page.events(1, 2);
      Object.assign(spoilt as object, { type: "Spoilt" });
      Object.assign(spoilt?.payload as object, { spoilt: true });
      spoilt?.createdAt.setTime(0);

      expect(await page.events()).toEqual(recorded);
      expect(await page.events(2)).toEqual(recorded.slice(2));
      expect(await page.events(1, 3)).toEqual(recorded.slice(1, 3));
    });

    it.each([
      ["one event", { limit: 1 }],
      ["three events", { limit: 3 }],
      ["as many as there are", { limit: 12 }],
      ["few bytes", { limit: 100, maxBytes: 25_000 }],
      ["fewer bytes than one event has", { limit: 100, maxBytes: 1_000 }],
    ])("gives each event once when read page by page: %s", async (_, size) => {
      const recorded: RecordedEvent[] = [];
      for (let round = 0; round < 4; round++) {
        recorded.push(...(await append(`a-${round}`, 3, { payload: { text: noise(8_000) } })));
        await appendAndRollBack();
      }

      const seen: RecordedEvent[] = [];
      for (let after = 0n; after < last(recorded); ) {
        const page: PageRead = await read(after, last(recorded), size);
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
