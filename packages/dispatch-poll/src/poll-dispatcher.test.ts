import { type DispatcherContext, type GlobalPosition, silentLogger } from "@pup/core";
import {
  createManualClock,
  createMemoryStore,
  createSeededRandomness,
  type ManualClock,
  recordEvents,
} from "@pup/testing";
import { dispatcherContract } from "@pup/testing/contracts";
import { afterEach, describe, expect, it } from "vitest";
import { createPollDispatcher, type PollDispatcherOptions } from "./poll-dispatcher.ts";

describe("Poll dispatcher", () => {
  dispatcherContract(async () => {
    const clock = createManualClock();
    const random = createSeededRandomness(1);
    const store = createMemoryStore({ clock, random });
    return {
      dispatcher: createPollDispatcher(),
      clock,
      random,
      latestPosition: () => store.latestPosition(),
      async commitEvent() {
        await store.append([{ aggregateType: "Order", aggregateId: "o-1", type: "OrderPlaced", payload: {} }]);
      },
      cut: async () => store.setReachable(false),
      restore: async () => store.setReachable(true),
      elapse: (durationMs) => clock.advance(durationMs),
      dispose: async () => store.kill(),
    };
  });
});

describe("createPollDispatcher", () => {
  const dispatchers: { stop(): Promise<void> }[] = [];
  afterEach(async () => {
    for (const dispatcher of dispatchers.splice(0)) await dispatcher.stop();
  });

  /** A dispatcher whose questions the test answers, each with a delay or an error if it likes. */
  const poll = (answer: (clock: ManualClock) => Promise<GlobalPosition>, options?: PollDispatcherOptions) => {
    const clock = createManualClock();
    const asked: number[] = [];
    const woken: number[] = [];
    const warnings: unknown[] = [];
    const told: string[] = [];
    const dispatcher = createPollDispatcher(options);
    dispatchers.push(dispatcher);
    const context: DispatcherContext = {
      wake: () => woken.push(clock.now()),
      control: () => undefined,
      latestPosition() {
        asked.push(clock.now());
        return answer(clock);
      },
      clock,
      random: createSeededRandomness(7),
      logger: {
        ...silentLogger,
        warn: (facts) => warnings.push(facts),
        info: (_, message) => told.push(message),
      },
    };
    const recorded = recordEvents(dispatcher.events);
    const started = dispatcher.start(context);
    started.catch(() => undefined); // Not every test waits for it.
    return { dispatcher, clock, asked, woken, warnings, told, recorded, started };
  };

  it("asks at once, and then every 200 ms", async () => {
    const { clock, asked } = poll(async () => 0n);
    await clock.advance(1_000);

    expect(asked).toEqual([0, 200, 400, 600, 800, 1_000]);
  });

  it("asks as often as it is told", async () => {
    const { clock, asked } = poll(async () => 0n, { intervalMs: 50 });
    await clock.advance(100);

    expect(asked).toEqual([0, 50, 100]);
  });

  it("counts the interval from question to question, however long an answer takes", async () => {
    const { clock, asked } = poll(async (clock) => {
      await new Promise<void>((resolve) => clock.after(150, resolve));
      return 0n;
    });
    await clock.advance(600);

    expect(asked).toEqual([0, 200, 400, 600]);
  });

  it("never has two questions under way, and asks again as soon as a slow one is answered", async () => {
    let underWay = 0;
    let most = 0;
    const { clock, asked } = poll(async (clock) => {
      most = Math.max(most, ++underWay);
      await new Promise<void>((resolve) => clock.after(500, resolve));
      underWay -= 1;
      return 0n;
    });
    await clock.advance(1_500);

    expect(most).toBe(1);
    expect(asked).toEqual([0, 500, 1_000, 1_500]);
  });

  it("wakes at the first answer, and whenever the position is another one", async () => {
    const positions = [5n, 5n, 6n, 6n, 3n, 3n];
    const { clock, woken } = poll(async () => positions.shift() ?? 3n);
    await clock.advance(1_200);

    // A lower position comes from a database that lost its end in a fail-over: that is news too.
    expect(woken).toEqual([0, 400, 800]);
  });

  it("starts when the first answer comes", async () => {
    const { clock, started, dispatcher } = poll(async (clock) => {
      await new Promise<void>((resolve) => clock.after(100, resolve));
      return 0n;
    });
    expect(dispatcher.health()).toMatchObject({ healthy: false, problem: "The database has not answered yet." });

    await clock.runUntil(started);

    expect(clock.now()).toBe(100);
    expect(dispatcher.health().healthy).toBe(true);
  });

  it("backs off while the database fails, with jitter, up to five seconds", async () => {
    const { clock, asked, recorded } = poll(() => Promise.reject(new Error("away")));
    await clock.advance(120_000);

    const waits = recorded.of("dispatcher:disconnected").map(({ retryInMs }) => retryInMs);
    expect(asked.length).toBeLessThan(60);
    expect(waits.length).toBe(asked.length);
    for (const [index, waitMs] of waits.entries()) {
      const ceiling = Math.min(5_000, 200 * 2 ** index);
      expect(waitMs).toBeGreaterThanOrEqual(ceiling / 2);
      expect(waitMs).toBeLessThan(ceiling);
    }
  });

  it("warns at most once in 30 seconds while the database fails, and says when it is back", async () => {
    let away = true;
    const { clock, dispatcher, recorded, warnings, told } = poll(async () => {
      if (away) throw new Error("away");
      return 0n;
    });
    await clock.advance(120_000);
    expect(recorded.of("dispatcher:disconnected").length).toBeGreaterThan(20);
    expect(warnings.length).toBeGreaterThan(2);
    expect(warnings.length).toBeLessThanOrEqual(5);
    expect(dispatcher.health().healthy).toBe(false);

    away = false;
    await clock.advance(5_000);

    expect(told).toEqual(["the database answers again"]);
    expect(dispatcher.health().healthy).toBe(true);
  });

  it("tells with which attempt it got through, and wakes although the position is the old one", async () => {
    let away = false;
    const { clock, recorded, woken } = poll(async () => {
      if (away) throw new Error("away");
      return 5n;
    });
    await clock.advance(200);
    away = true;
    await clock.advance(500);
    away = false;
    const wokenBefore = woken.length;
    await clock.advance(1_000);

    const failures = recorded.of("dispatcher:disconnected").length;
    expect(failures).toBeGreaterThan(0);
    expect(recorded.of("dispatcher:connected")).toEqual([{ attempt: 1 }, { attempt: failures + 1 }]);
    expect(woken.length).toBe(wokenBefore + 1);
  });

  it("takes a store that throws for one that rejects", async () => {
    const { clock, recorded } = poll(() => {
      throw new Error("away");
    });
    await clock.advance(300);

    expect(recorded.of("dispatcher:disconnected").length).toBeGreaterThan(0);
  });

  it("is unhealthy when an answer does not come", async () => {
    const { clock, dispatcher, started } = poll(async (clock) => {
      if (clock.now() > 0) await new Promise(() => undefined);
      return 5n;
    });
    await started;
    await clock.advance(5_000);
    expect(dispatcher.health()).toMatchObject({ healthy: true, pulse: { overdueMs: 4_800 } });

    await clock.advance(10_000);
    expect(dispatcher.health()).toMatchObject({
      healthy: false,
      problem: "The database has not answered for 14800 ms.",
      pulse: { overdueMs: 14_800 },
    });
  });

  it("shows that its loop turns, also while the database refuses, until it is stopped", async () => {
    const { clock, dispatcher } = poll(() => Promise.reject(new Error("away")));
    for (let seconds = 0; seconds < 60; seconds++) {
      await clock.advance(1_000);
      expect(dispatcher.health()).toMatchObject({ healthy: false, pulse: { overdueMs: 0 } });
    }
    await dispatcher.stop();
    expect(dispatcher.health().pulse).toBeNull();
  });

  it("stops although an answer does not come", async () => {
    const { clock, dispatcher, started } = poll(() => new Promise(() => undefined));
    const rejected = expect(started).rejects.toMatchObject({ code: "PUP_START_ABORTED" });

    await dispatcher.stop();

    await rejected;
    expect(clock.pending).toBe(0);
  });

  it("does nothing with an answer that comes after the stop", async () => {
    const answer = Promise.withResolvers<GlobalPosition>();
    const { clock, dispatcher, woken, recorded } = poll(() => answer.promise);
    await dispatcher.stop();
    answer.resolve(5n);
    await clock.settle();

    expect(woken).toEqual([]);
    expect(recorded.all).toEqual([]);
    expect(clock.pending).toBe(0);
  });

  it.each([0, -1, 1.5, Number.NaN, 2 ** 31, "200"])("refuses an interval of %j", (intervalMs) => {
    expect(() => createPollDispatcher({ intervalMs: intervalMs as number })).toThrow(/Expected `intervalMs` to be/);
  });

  it("takes undefined for the default", async () => {
    const { clock, asked } = poll(async () => 0n, { intervalMs: undefined });
    await clock.advance(200);

    expect(asked).toEqual([0, 200]);
  });
});
