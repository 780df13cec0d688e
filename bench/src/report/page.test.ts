import { describe, expect, it } from "vitest";
import type { FigureLine } from "../measuring/figure.ts";
import { insertFigures, type MeasuredCase, mergeCases, renderFigures } from "./page.ts";

const line: FigureLine = {
  case: "append: 8 connections",
  unit: "events/s",
  better: "more",
  rounds: 5,
  pup: 95,
  raw: 100,
  peer: null,
  peerName: null,
  ratioToRaw: 0.95,
  ratioToPeer: null,
  others: {},
  goals: [
    { goal: "≥ 0.95 × raw", actual: 0.95, reached: true },
    { goal: "≥ 2 × Emmett", actual: 1.5, reached: false },
  ],
};
const measured: MeasuredCase = {
  name: "append",
  measuredOn: "2026-11-26",
  size: "quick",
  rounds: 5,
  machine: "2 cores",
  loadBefore: 0.1,
  lines: [line],
};

describe("mergeCases", () => {
  it("replaces what was measured anew, keeps the rest, and puts all in order", () => {
    const before = {
      cases: [
        { ...measured, name: "loss" },
        { ...measured, machine: "1 core" },
      ],
    };

    expect(mergeCases(before, [measured, { ...measured, name: "idle" }], ["append", "idle", "loss"])).toEqual({
      cases: [measured, { ...measured, name: "idle" }, { ...measured, name: "loss" }],
    });
  });

  it("forgets cases that there are no more", () => {
    expect(mergeCases({ cases: [measured] }, [], ["loss"])).toEqual({ cases: [] });
  });
});

describe("renderFigures", () => {
  it("says how each case was measured, on what, and how many goals were reached", () => {
    const figures = renderFigures({ cases: [measured] }, { "pg-boss": "12.0.0" });

    expect(figures).toContain("Peers: pg-boss 12.0.0. Goals reached: 1 of 2.");
    expect(figures).toContain("### append\n\n`npm run bench -- append --quick --rounds 5`, 2026-11-26, 2 cores.\n\n|");
    expect(figures).not.toContain("busy");
    expect(figures).toMatch(/\| 8 connections, events\/s \| +95 \| +100 \|/);
  });
});

describe("renderFigures, of a machine that had other things to do,", () => {
  it("says so", () => {
    const figures = renderFigures({ cases: [{ ...measured, loadBefore: 7.25 }] }, {});
    expect(figures).toContain("2 cores.\n\n**The machine was busy with other things (load 7.3 before the run)");
  });
});

describe("insertFigures", () => {
  const markers = ["<!-- figures: written by `npm run bench -- --write-docs` -->", "<!-- /figures -->"] as const;

  it("replaces what stands between the markers, and nothing else", () => {
    const page = `before\n${markers[0]}\nold\n${markers[1]}\nafter`;
    expect(insertFigures(page, "new")).toBe(`before\n${markers[0]}\n\nnew\n\n${markers[1]}\nafter`);
    expect(insertFigures(insertFigures(page, "newer"), "new")).toBe(insertFigures(page, "new"));
  });

  it("refuses a page without markers", () => {
    expect(() => insertFigures(`${markers[1]} ${markers[0]}`, "new")).toThrow("Expected the page to have");
  });
});
