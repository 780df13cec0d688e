import { describe, expect, it } from "vitest";
import { createPulse } from "./pulse.ts";

describe("A pulse", () => {
  function setUp() {
    let now = 1_000;
    const pulse = createPulse({ now: () => now });
    const pass = (ms: number) => {
      now += ms;
    };
    return { pulse, pass };
  }

  it("tells nothing of a loop that has not begun, or has ended", () => {
    const { pulse } = setUp();
    expect(pulse.reading).toBeNull();
    pulse.beat(0);
    pulse.end();
    expect(pulse.reading).toBeNull();
  });

  it("is not overdue while the loop waits as long as it said", () => {
    const { pulse, pass } = setUp();
    pulse.beat(30_000);
    pass(30_000);
    expect(pulse.reading).toEqual({ lastBeatAgoMs: 30_000, overdueMs: 0 });
    pass(1);
    expect(pulse.reading).toEqual({ lastBeatAgoMs: 30_001, overdueMs: 1 });
  });

  it("counts from the beginning of what may take its time", () => {
    const { pulse, pass } = setUp();
    pulse.beat(0);
    pass(4_000);
    expect(pulse.reading).toEqual({ lastBeatAgoMs: 4_000, overdueMs: 4_000 });
    pulse.beat(200);
    expect(pulse.reading).toEqual({ lastBeatAgoMs: 0, overdueMs: 0 });
  });
});
