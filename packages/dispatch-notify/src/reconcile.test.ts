import { createPulse, silentLogger, systemRandomness } from "@pup/core";
import { createManualClock } from "@pup/testing";
import { describe, expect, it, vi } from "vitest";
import { reconcile } from "./reconcile.ts";

describe("Asking beside listening", () => {
  function setUp(latestPosition: () => Promise<bigint>) {
    const clock = createManualClock();
    const pulse = createPulse(clock);
    const stopping = new AbortController();
    const wake = vi.fn();
    const ended = reconcile(
      { wake, control: () => undefined, latestPosition, clock, random: systemRandomness, logger: silentLogger },
      pulse,
      1_000,
      stopping.signal,
    );
    const stop = async () => {
      stopping.abort();
      await ended;
    };
    return { clock, pulse, wake, stop };
  }

  it("wakes when the position is another one, and only then", async () => {
    let position = 1n;
    const { clock, wake, stop } = setUp(async () => position);
    await clock.advance(5_000);
    expect(wake).toHaveBeenCalledTimes(1);
    position = 2n;
    await clock.advance(5_000);
    expect(wake).toHaveBeenCalledTimes(2);
    await stop();
  });

  it("shows that it goes on, also while the database refuses", async () => {
    const { clock, pulse, stop } = setUp(() => Promise.reject(new Error("away")));
    await clock.advance(60_500);
    expect(pulse.reading).toEqual({ lastBeatAgoMs: 500, overdueMs: 0 });
    await stop();
  });

  it("shows that it hangs when an answer does not come", async () => {
    const { clock, pulse } = setUp(() => new Promise(() => undefined));
    await clock.advance(60_000);
    expect(pulse.reading).toEqual({ lastBeatAgoMs: 60_000, overdueMs: 60_000 });
  });
});
