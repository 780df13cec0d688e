import { describe, expect, it } from "vitest";
import { pageOf } from "../test/log-pages.ts";
import { createPageShelf, type Reader } from "./page-shelf.ts";

/** Pages of ten positions, ten bytes each. */
const page = (number: number) => {
  const after = BigInt(number * 10);
  return { after, page: pageOf([after + 5n], after + 10n, [10]) };
};

function setUp(maxBytes: number, ...positions: number[]) {
  const readers: { scope: string; position: bigint }[] = positions.map((position) => ({
    scope: "all",
    position: BigInt(position),
  }));
  const shelf = createPageShelf(maxBytes, (): Iterable<Reader> => readers);
  /** Numbers of the pages that follow each other from a position on. */
  const ahead = (position: number) => [...shelf.from("all", BigInt(position))].map(({ after }) => Number(after / 10n));
  return { shelf, readers, ahead };
}

describe("The shelf of pages", () => {
  it("gives the pages that follow each other, from the one that holds the position", () => {
    const { shelf, ahead } = setUp(1_000, 0);
    for (const number of [3, 0, 1, 5]) shelf.add("all", page(number));

    expect(ahead(0)).toEqual([0, 1]);
    expect(ahead(13)).toEqual([1]);
    expect(ahead(20)).toEqual([]);
    expect(ahead(39)).toEqual([3]);
    expect(shelf.holds("all", 9n)).toBe(true);
    expect(shelf.holds("all", 20n)).toBe(false);
    expect(shelf.holds("other", 0n)).toBe(false);
  });

  it("finds its way through pages that overlap", () => {
    const { shelf } = setUp(1_000, 0);
    shelf.add("all", { after: 0n, page: pageOf([], 10n) });
    shelf.add("all", { after: 6n, page: pageOf([], 16n) });

    expect([...shelf.from("all", 2n)].map(({ page: { through } }) => through)).toEqual([10n, 16n]);
    expect([...shelf.from("all", 8n)].map(({ page: { through } }) => through)).toEqual([16n]);
  });

  it("keeps one of two pages of which the one holds the other", () => {
    const { shelf, ahead } = setUp(1_000, 0);
    shelf.add("all", page(1));
    shelf.add("all", { after: 0n, page: pageOf([], 40n, [7]) });
    shelf.add("all", page(2));

    expect(ahead(0)).toEqual([0]);
    expect(shelf.heldBytes).toBe(7);
  });

  it("drops what every reader has behind it", () => {
    const { shelf, readers, ahead } = setUp(1_000, 0, 15);
    for (const number of [0, 1, 2]) shelf.add("all", page(number));
    Object.assign(readers[0] as object, { position: 20n });
    shelf.tidy("all");

    expect(ahead(0)).toEqual([]);
    expect(ahead(15)).toEqual([1, 2]);
    readers.length = 0;
    shelf.tidy("all");
    expect(shelf.heldBytes).toBe(0);
  });

  it("takes in nothing that nobody has ahead", () => {
    const { shelf } = setUp(1_000, 50);
    shelf.add("all", page(0));

    expect(shelf.heldBytes).toBe(0);
  });

  it("never holds more bytes than it may", () => {
    const { shelf } = setUp(35, 0);
    for (let number = 0; number < 10; number++) {
      shelf.add("all", page(number));
      expect(shelf.heldBytes).toBeLessThanOrEqual(35);
    }
    shelf.add("all", { after: 0n, page: pageOf([1n], 100n, [36]) });
    expect(shelf.heldBytes).toBeLessThanOrEqual(35);
  });

  it("lets those pages go that are needed last, where readers have drifted apart", () => {
    const { shelf, readers, ahead } = setUp(40, 0, 0);
    for (const number of [0, 1, 2, 3]) shelf.add("all", page(number));
    // The second reader is at the fourth page, and wants the fifth.
    Object.assign(readers[1] as object, { position: 35n });

    expect(shelf.makeRoom("all", 40n, 10)).toBe(true);
    shelf.add("all", page(4));

    // Of the pages between them, the one that the first reader comes to last is gone.
    expect(ahead(0)).toEqual([0, 1]);
    expect(ahead(35)).toEqual([3, 4]);
  });

  it("makes no room for what is needed later than all that it holds", () => {
    const { shelf, ahead } = setUp(20, 0);
    shelf.add("all", page(0));
    shelf.add("all", page(1));

    expect(shelf.makeRoom("all", 20n, 10)).toBe(false);
    expect(ahead(0)).toEqual([0, 1]);
  });

  it("forgets everything", () => {
    const { shelf, ahead } = setUp(1_000, 0);
    shelf.add("all", page(0));
    shelf.clear();

    expect(ahead(0)).toEqual([]);
    expect(shelf.heldBytes).toBe(0);
  });
});
