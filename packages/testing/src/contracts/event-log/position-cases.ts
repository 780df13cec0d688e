import { describe, expect, it } from "vitest";
import { sampleEvent } from "../sample-events.ts";
import type { StoreSetup } from "../store-setup.ts";
import { last, logActions, positionsOf } from "./log-actions.ts";

/** What positions there are. */
export function positionCases<Tx>(setup: () => StoreSetup<Tx>): void {
  const { append, appendAndHold, appendAndRollBack } = logActions(setup);
  const log = () => setup().store;

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

  describe("scanPositions, when it brings events along", () => {
    const bring = { limit: 10, maxBytes: 1_000_000 };
    const scan = async (after: bigint, limits = bring) => {
      const { page, ...found } = await log().scanPositions(after, limits);
      return { ...found, through: page?.through, events: (await page?.events()) ?? null };
    };

    it("gives those of the run, and says the same as without them", async () => {
      const recorded = await append("a", 3);
      const head = last(recorded);

      expect(await scan(0n)).toMatchObject({ contiguous: head, hole: false, highest: head, through: head });
      expect((await scan(0n)).events).toEqual(recorded);
      expect((await scan(head - 1n)).events).toEqual(recorded.slice(2));
      expect(await scan(head)).toMatchObject({ contiguous: head, hole: false, highest: head, events: [] });
      expect((await log().scanPositions(0n)).page).toBeUndefined();
      const { recovering, serverRun } = await log().scanPositions(0n);
      expect(await scan(0n)).toMatchObject({ recovering, serverRun });
    });

    it("gives none in an empty log", async () => {
      expect(await scan(0n)).toMatchObject({ contiguous: 0n, hole: false, highest: 0n, through: 0n, events: [] });
    });

    it("gives nothing from behind a hole", async () => {
      const before = await append("a", 2);
      const held = await appendAndHold();
      const head = last(await append("b", 2));

      const found = await scan(0n);
      const behind = await scan(last(before));
      await held.commit();

      const end = last(before);
      expect(found).toMatchObject({ contiguous: end, hole: true, highest: head, through: end });
      expect(found.events).toEqual(before);
      expect(behind).toMatchObject({ contiguous: end, hole: true, highest: head, through: end, events: [] });
    });

    it("looks no further than its limits, and always gives the first", async () => {
      const recorded = await append("a", 5, { payload: { text: "x".repeat(1_000) } });
      const head = last(recorded);
      const [first, second] = positionsOf(recorded);

      const few = await scan(0n, { limit: 2, maxBytes: 1_000_000 });
      const small = await scan(0n, { limit: 10, maxBytes: 1 });

      expect(few).toMatchObject({ contiguous: second, hole: false, highest: head, through: second });
      expect(few.events).toEqual(recorded.slice(0, 2));
      expect(small).toMatchObject({ contiguous: first, hole: false, highest: head, through: first });
      expect(small.events).toEqual(recorded.slice(0, 1));
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

function rangeOf(positions: readonly bigint[]): { first: bigint | undefined; last: bigint | undefined } {
  return { first: positions.at(0), last: positions.at(-1) };
}
