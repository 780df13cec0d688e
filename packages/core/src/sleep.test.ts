import { describe, expect, it } from "vitest";
import { sleep } from "./sleep.ts";
import { createSteppedClock } from "./stepped-clock.fixture.ts";

describe("sleep", () => {
  const asleep = async (promise: Promise<void>) => {
    const still = Symbol("still asleep");
    return (await Promise.race([promise, Promise.resolve(still)])) === still;
  };

  it("ends when the time is over, not before", async () => {
    const clock = createSteppedClock();
    const slept = sleep(clock, 100);
    clock.step(99);
    expect(await asleep(slept)).toBe(true);

    clock.step(1);
    await slept;
  });

  it("ends when the signal aborts, and leaves no timer", async () => {
    const clock = createSteppedClock();
    const stop = new AbortController();
    const slept = sleep(clock, 100, stop.signal);

    stop.abort(new Error("enough"));

    await slept;
    expect(clock.pending).toBe(0);
  });

  it("does not begin when the signal has aborted already", async () => {
    const clock = createSteppedClock();

    await sleep(clock, 100, AbortSignal.abort());

    expect(clock.pending).toBe(0);
  });

  it("leaves the signal without listeners when the time was over first", async () => {
    const clock = createSteppedClock();
    const { signal } = new AbortController();
    let listeners = 0;
    const counting = new Proxy(signal, {
      get(target, name) {
        if (name === "addEventListener" || name === "removeEventListener") {
          return (...args: Parameters<AbortSignal["addEventListener"]>) => {
            listeners += name === "addEventListener" ? 1 : -1;
            target[name](...args);
          };
        }
        return Reflect.get(target, name, target);
      },
    });

    const slept = sleep(clock, 100, counting);
    clock.step(100);
    await slept;

    expect(listeners).toBe(0);
  });
});
