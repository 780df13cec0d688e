import type { Clock } from "@pup/core";
import { createManualClock } from "@pup/testing";
import { describe, expect, it } from "vitest";
import { withTimeLimit } from "./time-limit.ts";

/** A clock whose timers fire only when told to, however late: as in a process that stands still. */
function createStandingClock() {
  let now = 0;
  let timer: { readonly dueAt: number; readonly callback: () => void } | null = null;
  const clock: Clock = {
    now: () => now,
    after(delayMs, callback) {
      timer = { dueAt: now + delayMs, callback };
      return () => {
        timer = null;
      };
    },
  };
  const fire = (at: number) => {
    now = at;
    const due = timer;
    timer = null;
    due?.callback();
  };
  return { clock, fire };
}

describe("withTimeLimit", () => {
  it("gives the answer that comes in time, and leaves no timer", async () => {
    const clock = createManualClock();

    expect(await withTimeLimit(clock, 1_000, "a question", async () => 42)).toBe(42);
    expect(clock.pending).toBe(0);
  });

  it("says what was not answered, and within which time", async () => {
    const clock = createManualClock();
    const asked = withTimeLimit(clock, 1_000, "a question", () => new Promise(() => undefined));
    asked.catch(() => undefined);
    await clock.advance(1_000);

    await expect(asked).rejects.toMatchObject({ code: "PUP_NO_ANSWER", message: expect.stringMatching(/1000 ms/) });
  });

  it("reads first what has come while the process stood still", async () => {
    const { clock, fire } = createStandingClock();
    const { promise, resolve: answer } = Promise.withResolvers<string>();
    const asked = withTimeLimit(clock, 1_000, "a question", () => promise);

    fire(20_000);
    answer("it lay there unread");

    expect(await asked).toBe("it lay there unread");
  });

  it("gives up all the same when nothing has come", async () => {
    const { clock, fire } = createStandingClock();
    const asked = withTimeLimit(clock, 1_000, "a question", () => new Promise(() => undefined));
    asked.catch(() => undefined);
    fire(20_000);
    fire(20_250);

    await expect(asked).rejects.toMatchObject({ code: "PUP_NO_ANSWER" });
  });
});
