import { describe, expect, it } from "vitest";
import { type PageRow, toLogPage } from "./log-page.ts";

const row = (position: number, payload: unknown = {}): PageRow => ({
  position: String(position),
  aggregatetype: "Order",
  aggregateid: "o-1",
  aggregateversion: position,
  id: "0197c0de-0000-7000-8000-000000000000",
  type: "OrderPlaced",
  version: 1,
  payload: JSON.stringify(payload),
  metadata: null,
  traceid: null,
  correlationid: null,
  causationid: null,
  createdat: 0,
  size: 10,
});

const rows = (count: number, payload?: unknown) => Array.from({ length: count }, (_, index) => row(index + 1, payload));

describe("A page of rows", () => {
  it("reaches to its last event, unless it is said how far", () => {
    expect(toLogPage(rows(3)).through).toBe(3n);
    expect(toLogPage(rows(3), 10n).through).toBe(10n);
    expect(toLogPage([], 10n)).toMatchObject({ positions: [], sizes: [], through: 10n });
  });

  it("takes more memory the longer its payloads are, however small they are stored", () => {
    const long = toLogPage(rows(10, { text: "x".repeat(100_000) })).memoryBytes;

    expect(long).toBeGreaterThan(1_000_000);
    expect(toLogPage(rows(10)).memoryBytes).toBeLessThan(100_000);
  });

  it("parses nothing before its events are asked for, and only those", async () => {
    const broken = { ...row(2), payload: "{" };
    const page = toLogPage([row(1), broken, row(3)]);

    expect(await page.events(0, 1)).toHaveLength(1);
    expect(await page.events(2)).toHaveLength(1);
    await expect(page.events()).rejects.toThrow(SyntaxError);
  });

  it("gives others their turn while it makes many events, and takes none for few", async () => {
    let turns = 0;
    let isOver = false;
    const turn = () => {
      turns += 1;
      if (!isOver) setImmediate(turn);
    };
    setImmediate(turn);
    await toLogPage(rows(10)).events();
    expect(turns).toBe(0);

    await toLogPage(rows(1_000, { text: "x".repeat(1_000) })).events();
    isOver = true;

    // A megabyte, in parts of 64 KB.
    expect(turns).toBeGreaterThanOrEqual(10);
  });
});
