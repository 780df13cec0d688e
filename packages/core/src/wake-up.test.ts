import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createSteppedClock } from "./stepped-clock.fixture.ts";
import { createWakeUp } from "./wake-up.ts";

describe("createWakeUp", () => {
  it("ends a wait when it is rung", async () => {
    const bell = createWakeUp(createSteppedClock());
    const wait = bell.wait(bell.token(), 1_000);

    bell.ring();

    expect(await wait).toBe(true);
  });

  it("ends a wait at once when it was rung between the token and the wait", async () => {
    const bell = createWakeUp(createSteppedClock());
    const token = bell.token();
    bell.ring();

    expect(await bell.wait(token, 1_000)).toBe(true);
  });

  it("does not end the wait for a token that was taken after the ring", async () => {
    const clock = createSteppedClock();
    const bell = createWakeUp(clock);
    bell.ring();
    const wait = bell.wait(bell.token(), 1_000);

    clock.step(1_000);

    expect(await wait).toBe(false);
  });

  it("spends all tokens taken so far with one ring", () => {
    const bell = createWakeUp(createSteppedClock());
    const tokens = [bell.token(), bell.token()];
    bell.ring();
    const later = bell.token();

    expect(tokens.map(({ spent }) => spent)).toEqual([true, true]);
    expect(later.spent).toBe(false);
  });

  it("wakes everybody who waits", async () => {
    const bell = createWakeUp(createSteppedClock());
    const waits = [bell.wait(bell.token(), 1_000), bell.wait(bell.token(), 2_000)];

    bell.ring();

    expect(await Promise.all(waits)).toEqual([true, true]);
  });

  it("ends a wait when the signal aborts, without a wake-up", async () => {
    const clock = createSteppedClock();
    const bell = createWakeUp(clock);
    const stop = new AbortController();
    const wait = bell.wait(bell.token(), 1_000, stop.signal);

    stop.abort();

    expect(await wait).toBe(false);
    expect(await bell.wait(bell.token(), 1_000, stop.signal)).toBe(false);
    expect(clock.pending).toBe(0);
  });

  it("leaves no timer behind, however a wait ends", async () => {
    const clock = createSteppedClock();
    const bell = createWakeUp(clock);
    const rung = bell.wait(bell.token(), 1_000);
    bell.ring();
    const over = bell.wait(bell.token(), 10);
    clock.step(10);
    await Promise.all([rung, over]);

    expect(clock.pending).toBe(0);
  });

  it("loses no wake-up, in whatever order rings, reads and waits come", async () => {
    // One writer that adds and rings, one reader that takes a token, reads (over several turns) and waits if it found nothing.
    await fc.assert(
      fc.asyncProperty(fc.scheduler(), fc.integer({ min: 1, max: 6 }), async (scheduler, count) => {
        const bell = createWakeUp(createSteppedClock());
        let written = 0;
        let handled = 0;

        const read = async () => {
          const seen = written;
          await scheduler.schedule(Promise.resolve(), "the read comes back");
          return seen;
        };
        const reader = async () => {
          while (handled < count) {
            const token = bell.token();
            const seen = await read();
            if (seen > handled) handled = seen;
            // No time ever passes: a lost wake-up would leave the reader here for ever.
            else await bell.wait(token, 1_000);
          }
        };
        const writer = async () => {
          for (let index = 0; index < count; index++) {
            await scheduler.schedule(Promise.resolve(), "an event is written");
            written += 1;
            bell.ring();
          }
        };

        await scheduler.waitFor(Promise.all([reader(), writer()]));
        expect(handled).toBe(count);
      }),
      { numRuns: 300 },
    );
  });
});
