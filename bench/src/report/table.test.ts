import { describe, expect, it } from "vitest";
import type { FigureLine } from "../measuring/figure.ts";
import { formatNumber, formatRatio } from "./numbers.ts";
import { renderTable } from "./table.ts";

const line: FigureLine = {
  case: "append: 8 connections",
  unit: "events/s",
  better: "more",
  rounds: 5,
  pup: 9_877,
  raw: 10_000,
  peer: 3_000,
  peerName: "pg-boss",
  ratioToRaw: 0.9877,
  ratioToPeer: 3.3,
  others: { "raw INSERT": 12_350 },
  goals: [
    { goal: "≥ 0.95 × raw", actual: 0.9877, reached: true },
    { goal: "≥ 4 × pg-boss", actual: 3.3, reached: false },
  ],
};

describe("renderTable", () => {
  it("shows pup, the work by hand and the best peer, and which goals were reached", () => {
    const bare = {
      ...line,
      raw: null,
      peer: null,
      peerName: null,
      ratioToRaw: null,
      ratioToPeer: null,
      others: {},
      goals: [],
    };
    const idle = { ...bare, case: "idle", unit: "queries/s", pup: 0.5 };

    expect(
      renderTable([line, idle])
        .split("\n")
        .map((row) => row.replaceAll(/ +/g, " ")),
    ).toEqual([
      "| | pup | raw | best peer | pup : raw | pup : peer | others | goals |",
      "| ------------------------------- | ----: | -----: | --------------: | --------: | ---------: | ------------------ | ------------------------------------- |",
      "| append: 8 connections, events/s | 9,877 | 10,000 | 3,000 (pg-boss) | 0.988 × | 3.3 × | raw INSERT: 12,350 | ✓ ≥ 0.95 × raw; ✗ ≥ 4 × pg-boss (3.3) |",
      "| idle, queries/s | 0.5 | | | | | | |",
    ]);
    const widths = renderTable([line, idle])
      .split("\n")
      .map((row) => row.length);
    expect(new Set(widths).size).toBe(1);
  });
});

describe("Numbers", () => {
  it.each([
    [123_456, "123,500"],
    [1_234.5, "1,235"],
    [12.345, "12.3"],
    [1.2345, "1.23"],
    [0.01234, "0.0123"],
    [0, "0"],
    [null, "–"],
    [Number.NaN, "–"],
  ])("show %s as %s", (value, shown) => {
    expect(formatNumber(value)).toBe(shown);
  });

  it("say how many times as much one is", () => {
    expect(formatRatio(1.25)).toBe("1.25 ×");
    expect(formatRatio(null)).toBe("–");
  });
});
