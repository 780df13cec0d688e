import { describe, expect, it } from "vitest";
import { createFailureDetector } from "./failure-detector.ts";

/** A detector, and what lets the time between two looks pass. */
function setUp() {
  let now = 0;
  const detector = createFailureDetector({
    heartbeatTimeoutMs: 30_000,
    livenessIntervalMs: 250,
    clock: { now: () => now },
  });
  const later = (ms = 250) => {
    now += ms;
  };
  return { detector, later };
}

const alive = { workerId: "w", heartbeatAgeMs: 100, livenessLockHeld: true };
const lockGone = { ...alive, livenessLockHeld: false };

describe("Failure detector", () => {
  it("counts a worker as dead whose heartbeat is older than the timeout", () => {
    const { detector } = setUp();

    expect(detector.observe([{ ...alive, heartbeatAgeMs: 30_000 }])).toEqual([]);
    expect(detector.observe([{ ...alive, heartbeatAgeMs: 30_001 }])).toEqual([{ workerId: "w", reason: "heartbeat" }]);
  });

  it("counts a worker as dead whose liveness lock it has seen, and misses in two looks", () => {
    const { detector, later } = setUp();
    detector.observe([alive]);

    expect(detector.observe([lockGone])).toEqual([]);
    later();
    expect(detector.observe([lockGone])).toEqual([{ workerId: "w", reason: "liveness" }]);
  });

  it("does not count looks that follow each other at once", () => {
    const { detector, later } = setUp();
    detector.observe([alive]);

    for (let look = 0; look < 10; look++) {
      expect(detector.observe([lockGone])).toEqual([]);
      later(5);
    }
  });

  it("gives a worker whose connection broke the time between two looks to come back", () => {
    const { detector, later } = setUp();
    detector.observe([alive]);
    detector.observe([lockGone]);
    later();
    detector.observe([alive]);
    later();

    expect(detector.observe([lockGone])).toEqual([]);
  });

  it("lets heartbeats alone decide about a worker whose lock it has never seen", () => {
    const { detector, later } = setUp();

    for (let look = 0; look < 10; look++) {
      expect(detector.observe([lockGone])).toEqual([]);
      later();
    }
    expect(detector.observe([{ ...lockGone, heartbeatAgeMs: 31_000 }])).toEqual([
      { workerId: "w", reason: "heartbeat" },
    ]);
  });

  it("begins anew with a worker that was struck off and has come back", () => {
    const { detector, later } = setUp();
    detector.observe([alive]);
    detector.observe([]);

    for (let look = 0; look < 3; look++) {
      expect(detector.observe([lockGone])).toEqual([]);
      later();
    }
  });
});
