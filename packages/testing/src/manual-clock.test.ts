import { sleep } from "@pup/core";
import { describe, expect, it } from "vitest";
import { createManualClock } from "./manual-clock.ts";

describe("createManualClock", () => {
  it("stands still until it is turned", async () => {
    const clock = createManualClock();
    let called = false;
    clock.after(1, () => {
      called = true;
    });
    await clock.settle();

    expect(clock.now()).toBe(0);
    expect(called).toBe(false);
  });

  it("calls back when the time has come, not before, and once", async () => {
    const clock = createManualClock();
    const calledAt: number[] = [];
    clock.after(10, () => calledAt.push(clock.now()));

    await clock.advance(9);
    expect(calledAt).toEqual([]);
    await clock.advance(1);
    await clock.advance(100);

    expect(calledAt).toEqual([10]);
    expect(clock.now()).toBe(110);
  });

  it("calls back in order of time, and in order of asking where times are equal", async () => {
    const clock = createManualClock();
    const calls: string[] = [];
    clock.after(20, () => calls.push("late"));
    clock.after(10, () => calls.push("first"));
    clock.after(10, () => calls.push("second"));
    clock.after(-5, () => calls.push("at once"));

    await clock.advance(20);

    expect(calls).toEqual(["at once", "first", "second", "late"]);
  });

  it("does not call back after the undo", async () => {
    const clock = createManualClock();
    const cancel = clock.after(10, () => expect.unreachable());

    cancel();
    cancel();
    await clock.advance(10);

    expect(clock.pending).toBe(0);
  });

  it("steps without letting anything settle first when told that nothing was begun", async () => {
    const clock = createManualClock();
    const calls: string[] = [];
    clock.after(20, () => calls.push("late"));
    void Promise.resolve().then(() => clock.after(10, () => calls.push("begun")));

    await clock.step(Number.POSITIVE_INFINITY, { settled: true });
    await clock.step(Number.POSITIVE_INFINITY, { settled: true });

    expect(calls).toEqual(["late", "begun"]);
  });

  it("goes from one callback to the next where it is told to step, and no further than asked", async () => {
    const clock = createManualClock();
    const calls: string[] = [];
    clock.after(10, () => calls.push("first"));
    clock.after(10, () => calls.push("second"));
    clock.after(30, () => calls.push("late"));

    expect([await clock.step(), calls.length, clock.now()]).toEqual([true, 1, 10]);
    expect([await clock.step(29), calls.length, clock.now()]).toEqual([true, 2, 10]);
    expect([await clock.step(29), calls.length, clock.now()]).toEqual([false, 2, 10]);
    expect([await clock.step(), calls.length, clock.now()]).toEqual([true, 3, 30]);
    expect([await clock.step(), clock.now()]).toEqual([false, 30]);
  });

  it("lets a loop that sleeps run as often as in real time", async () => {
    const clock = createManualClock();
    const ranAt: number[] = [];
    const loop = async () => {
      for (;;) {
        // However long the chain of promises is between two sleeps.
        for (let step = 0; step < 50; step++) await Promise.resolve();
        ranAt.push(clock.now());
        await sleep(clock, 100);
      }
    };
    void loop();

    await clock.advance(350);

    expect(ranAt).toEqual([0, 100, 200, 300]);
  });

  it("counts what is pending", () => {
    const clock = createManualClock();
    const cancel = clock.after(10, () => undefined);
    clock.after(20, () => undefined);
    expect(clock.pending).toBe(2);

    cancel();
    expect(clock.pending).toBe(1);
  });

  it("passes on what a callback throws", async () => {
    const clock = createManualClock();
    clock.after(10, () => {
      throw new Error("callback");
    });

    await expect(clock.advance(10)).rejects.toThrow("callback");
    expect(clock.pending).toBe(0);
  });

  describe("runUntil", () => {
    it("lets as much time pass as a promise takes, and no more", async () => {
      const clock = createManualClock();
      clock.after(10_000, () => expect.unreachable());
      const slow = sleep(clock, 1_500).then(() => "done");

      expect(await clock.runUntil(slow)).toBe("done");
      expect(clock.now()).toBe(1_500);
    });

    it("passes a rejection on", async () => {
      const clock = createManualClock();
      const failing = sleep(clock, 10).then(() => Promise.reject(new Error("failed")));

      await expect(clock.runUntil(failing)).rejects.toThrow("failed");
    });

    it("says so when nothing is left that could settle the promise", async () => {
      const clock = createManualClock();
      clock.after(10, () => undefined);

      await expect(clock.runUntil(new Promise(() => undefined))).rejects.toThrow(
        "no callback is left that could settle it",
      );
    });

    it("gives up after the time allowed", async () => {
      const clock = createManualClock();
      const tick = () => {
        clock.after(10, tick);
      };
      tick();

      await expect(clock.runUntil(new Promise(() => undefined), 100)).rejects.toThrow(
        "1 are still pending after 100 ms",
      );
    });
  });

  describe("runAll", () => {
    it("lets time pass until nothing is pending", async () => {
      const clock = createManualClock();
      const steps: number[] = [];
      clock.after(10, () => {
        steps.push(clock.now());
        clock.after(500, () => steps.push(clock.now()));
      });

      await clock.runAll();

      expect(steps).toEqual([10, 510]);
    });

    it("gives up on what never ends", async () => {
      const clock = createManualClock();
      const tick = () => {
        clock.after(10, tick);
      };
      tick();

      await expect(clock.runAll(1_000)).rejects.toThrow("1 are still pending after 1000 ms");
    });
  });
});
