import { describe, expect, it } from "vitest";
import type { FigureLine } from "../measuring/figure.ts";
import { renderChart } from "./chart.ts";

const line: FigureLine = {
  case: "append: 8 connections: throughput",
  unit: "events/s",
  better: "more",
  rounds: 5,
  pup: 9_500,
  raw: 10_000,
  peer: 2_500,
  peerName: "Emmett",
  ratioToRaw: 0.95,
  ratioToPeer: 3.8,
  others: {},
  goals: [],
};
const widths = (svg: string) =>
  [...svg.matchAll(/<rect x="370" y="\d+" width="([\d.]+)"/g)].map(([, width]) => Number(width));

describe("renderChart", () => {
  it("draws pup and the best peer in proportion to the same work by hand", () => {
    const svg = renderChart([line]);

    expect(widths(svg)).toEqual([152, 40]);
    expect(svg).toContain(">append: 8 connections</text>");
    expect(svg).toContain(">0.95 × raw</text>");
    expect(svg).toContain("9,500/s, Emmett 2,500/s");
  });

  it("cuts off what is far beyond, and says its number", () => {
    const svg = renderChart([{ ...line, ratioToRaw: 9 }]);
    expect(widths(svg)[0]).toBe(400);
    expect(svg).toContain(">9.00 × raw</text>");
  });

  it("leaves out what is not counted in events, and what nobody did by hand", () => {
    expect(
      widths(
        renderChart([
          { ...line, unit: "ms" },
          { ...line, raw: null, ratioToRaw: null },
        ]),
      ),
    ).toEqual([]);
  });

  it("keeps names from being markup", () => {
    expect(renderChart([{ ...line, case: 'a < b & "c"' }])).toContain(">a &lt; b &amp; &quot;c&quot;</text>");
  });
});
