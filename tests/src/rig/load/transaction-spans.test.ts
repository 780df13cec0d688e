import { describe, expect, it } from "vitest";
import { createSpans } from "./transaction-spans.ts";

describe("Transaction spans", () => {
  /** Spans of the given beginnings and ends. */
  function spansOf(...given: readonly (readonly [number, number | null])[]) {
    let time = 0;
    const spans = createSpans(() => time);
    const ends = given.map(([beganAt, endedAt]) => {
      time = beganAt;
      return { end: spans.begin(), endedAt };
    });
    for (const { end, endedAt } of ends) {
      if (endedAt === null) continue;
      time = endedAt;
      end();
    }
    return spans;
  }

  it("tell when the last of those ended that were open when a gap was seen", () => {
    const spans = spansOf([10, 40], [20, 160], [25, 170], [120, 175]);
    expect(spans.endOfOlder({ seenAt: 100, closedAt: 180 })).toBe(170);
  });

  it("leave out what went on long after the gap was closed, and what has not ended", () => {
    const spans = spansOf([10, 150], [20, 900], [30, null]);
    expect(spans.endOfOlder({ seenAt: 100, closedAt: 180 })).toBe(150);
  });

  it("take an end that becomes known a little late for what was waited for", () => {
    expect(spansOf([10, 185]).endOfOlder({ seenAt: 100, closedAt: 180 })).toBe(180);
  });

  it("begin with the gap where nobody was in flight", () => {
    expect(spansOf([10, 40]).endOfOlder({ seenAt: 100, closedAt: 180 })).toBe(100);
  });
});
