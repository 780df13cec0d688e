import { describe, expect, it } from "vitest";
import { createFailureDetector } from "./failure-detector.ts";

const alive = { workerId: "w", heartbeatAgeMs: 100, livenessLockHeld: true };
const lockGone = { ...alive, livenessLockHeld: false };

describe("Failure detector", () => {
  it("counts a worker as dead whose heartbeat is older than the timeout", () => {
    const detector = createFailureDetector(30_000);

    expect(detector.observe([{ ...alive, heartbeatAgeMs: 30_000 }])).toEqual([]);
    expect(detector.observe([{ ...alive, heartbeatAgeMs: 30_001 }])).toEqual([{ workerId: "w", reason: "heartbeat" }]);
  });

  it("counts a worker as dead whose liveness lock it has seen, and misses in two looks", () => {
    const detector = createFailureDetector(30_000);
    detector.observe([alive]);

    expect(detector.observe([lockGone])).toEqual([]);
    expect(detector.observe([lockGone])).toEqual([{ workerId: "w", reason: "liveness" }]);
  });

  it("gives a worker whose connection broke the time between two looks to come back", () => {
    const detector = createFailureDetector(30_000);
    detector.observe([alive]);
    detector.observe([lockGone]);
    detector.observe([alive]);

    expect(detector.observe([lockGone])).toEqual([]);
  });

  it("lets heartbeats alone decide about a worker whose lock it has never seen", () => {
    const detector = createFailureDetector(30_000);

    for (let look = 0; look < 10; look++) expect(detector.observe([lockGone])).toEqual([]);
    expect(detector.observe([{ ...lockGone, heartbeatAgeMs: 31_000 }])).toEqual([
      { workerId: "w", reason: "heartbeat" },
    ]);
  });

  it("begins anew with a worker that was struck off and has come back", () => {
    const detector = createFailureDetector(30_000);
    detector.observe([alive]);
    detector.observe([]);

    for (let look = 0; look < 3; look++) expect(detector.observe([lockGone])).toEqual([]);
  });
});
