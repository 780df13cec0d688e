import type { GlobalPosition } from "@pup/core";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { pageOf } from "../test/log-pages.ts";
import { type BatchRequest, type BatchSlice, eventsOf, type HeldPage, sliceBatch } from "./batch-slice.ts";

const request = { after: 0n, upTo: 100n, limit: 100, maxBytes: 1_000 };
const first = { after: 0n, page: pageOf([2n, 3n, 7n], 10n) };
const second = { after: 10n, page: pageOf([11n, 15n], 20n) };

const positionsIn = async (slice: BatchSlice) => (await eventsOf(slice)).map(({ globalPosition }) => globalPosition);

describe("A batch out of pages", () => {
  it("is what the page holds after the position, and reaches as far as the page", async () => {
    const slice = sliceBatch([first], { ...request, after: 2n });

    expect(await positionsIn(slice)).toEqual([3n, 7n]);
    expect(slice.through).toBe(10n);
  });

  it("reaches to its own last event where it is cut, not to the end of the page", async () => {
    const slice = sliceBatch([first], { ...request, limit: 2 });

    expect(await positionsIn(slice)).toEqual([2n, 3n]);
    expect(slice.through).toBe(3n);
  });

  it("ends where it is to end", async () => {
    const slice = sliceBatch([first, second], { ...request, upTo: 5n });

    expect(await positionsIn(slice)).toEqual([2n, 3n]);
    expect(slice.through).toBe(5n);
  });

  it("goes on in the next page", async () => {
    const slice = sliceBatch([first, second], { ...request, after: 3n, limit: 2 });

    expect(await positionsIn(slice)).toEqual([7n, 11n]);
    expect(slice.through).toBe(11n);
  });

  it("ends with its bytes, and always has its first event", async () => {
    const heavy = { after: 0n, page: pageOf([1n, 2n], 2n, [50, 50]) };

    expect(await positionsIn(sliceBatch([heavy], { ...request, maxBytes: 99 }))).toEqual([1n]);
    expect(await positionsIn(sliceBatch([heavy], { ...request, maxBytes: 100 }))).toEqual([1n, 2n]);
    expect(await positionsIn(sliceBatch([heavy], { ...request, maxBytes: 1 }))).toEqual([1n]);
  });

  it("is empty where no event is, and still moves on", async () => {
    const slice = sliceBatch([{ after: 0n, page: pageOf([], 10n) }], request);

    expect(await positionsIn(slice)).toEqual([]);
    expect(slice.through).toBe(10n);
  });

  it("leaves nothing out and brings nothing twice, however log, pages and batches are cut", async () => {
    await fc.assert(
      fc.asyncProperty(cutLog, fc.infiniteStream(batchBounds), async (log, bounds) => {
        const seen: GlobalPosition[] = [];
        for (let after = 0n; after < log.end; ) {
          const asked = { ...(bounds.next().value as typeof request), after };
          const slice = sliceBatch(pagesFrom(log.pages, after), within(asked, log.end));
          const positions = await positionsIn(slice);
          expectWithin(slice, asked, log.sizes, positions);
          seen.push(...positions);
          after = slice.through;
        }
        expect(seen).toEqual([...log.sizes.keys()]);
      }),
    );
  });
});

interface CutLog {
  readonly pages: readonly HeldPage[];
  readonly end: GlobalPosition;
  readonly sizes: ReadonlyMap<GlobalPosition, number>;
}

/** A log with holes, cut into pages at random. */
const cutLog: fc.Arbitrary<CutLog> = fc
  .array(fc.record({ size: fc.option(fc.integer({ min: 1, max: 50 })), cut: fc.boolean() }), {
    minLength: 1,
    maxLength: 60,
  })
  .map((places) => {
    const sizes = new Map<GlobalPosition, number>();
    const pages: HeldPage[] = [];
    let after = 0n;
    for (const [index, { size, cut }] of places.entries()) {
      const position = BigInt(index + 1);
      if (size !== null) sizes.set(position, size);
      if (!cut && index < places.length - 1) continue;
      const positions = [...sizes.keys()].filter((each) => each > after);
      pages.push({
        after,
        page: pageOf(
          positions,
          position,
          positions.map((each) => sizes.get(each) as number),
        ),
      });
      after = position;
    }
    return { pages, end: after, sizes };
  });

/** `upTo` counts from where the batch begins. */
const batchBounds = fc.record({
  upTo: fc.bigInt({ min: 1n, max: 70n }),
  limit: fc.integer({ min: 1, max: 20 }),
  maxBytes: fc.integer({ min: 1, max: 200 }),
});

function within({ after, upTo, ...bounds }: BatchRequest, end: GlobalPosition): BatchRequest {
  return { ...bounds, after, upTo: after + upTo < end ? after + upTo : end };
}

/** As many of them as may be held: sometimes all, sometimes only the first. */
function pagesFrom(pages: readonly HeldPage[], after: GlobalPosition): readonly HeldPage[] {
  const found = pages.filter(({ page }) => page.through > after);
  return after % 3n === 0n ? found.slice(0, 1) : found;
}

function expectWithin(
  { through }: BatchSlice,
  { after, limit, maxBytes }: BatchRequest,
  sizes: ReadonlyMap<GlobalPosition, number>,
  positions: readonly GlobalPosition[],
): void {
  expect(through).toBeGreaterThan(after);
  expect(positions.length).toBeLessThanOrEqual(limit);
  const bytes = positions.reduce((sum, position) => sum + (sizes.get(position) as number), 0);
  if (positions.length > 1) expect(bytes).toBeLessThanOrEqual(maxBytes);
}
