import { describe, expect, it } from "vitest";
import { bestPeer, type Figure, toLine } from "./figure.ts";

const figure: Figure = {
  case: "append",
  title: "8 connections",
  unit: "events/s",
  better: "more",
  rounds: 5,
  values: { pup: 9_876.54, raw: 10_000, Emmett: 2_000, "pg-boss": 3_000, "raw INSERT": 12_345.6 },
  ratios: { raw: 0.98765, Emmett: 4.9, "pg-boss": 3.3, "raw INSERT": 0.8 },
  goals: [],
};

describe("bestPeer", () => {
  it("is the one with the most where more is better, and with the least where less is", () => {
    expect(bestPeer(figure)).toBe("pg-boss");
    expect(bestPeer({ ...figure, better: "less" })).toBe("Emmett");
  });

  it("is nobody where no peer was measured", () => {
    expect(bestPeer({ ...figure, values: { pup: 1, raw: 1, Emmett: Number.NaN } })).toBeUndefined();
  });
});

describe("A line of JSON", () => {
  it("says what pup, the work by hand and the best peer reach, to four digits, and who else was measured", () => {
    expect(toLine(figure)).toEqual({
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
      others: { Emmett: 2_000, "raw INSERT": 12_350 },
      goals: [],
    });
  });

  it("has null for what was not measured, and for what is no number", () => {
    const line = toLine({ ...figure, values: { pup: 1, raw: Number.NaN }, ratios: { raw: Number.POSITIVE_INFINITY } });
    expect(line).toMatchObject({ raw: null, peer: null, peerName: null, ratioToRaw: null, ratioToPeer: null });
  });
});
