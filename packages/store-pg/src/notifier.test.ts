import { silentLogger } from "@pup/core";
import { createManualClock } from "@pup/testing";
import { describe, expect, it } from "vitest";
import { createNotifier } from "./notifier.ts";

function setUp(notify: (payload: string) => Promise<unknown> = async () => undefined) {
  const clock = createManualClock();
  const sentAt: number[] = [];
  const payloads = new Set<string>();
  const notifier = createNotifier({
    notify: (payload) => {
      sentAt.push(clock.now());
      payloads.add(payload);
      return notify(payload);
    },
    minIntervalMs: 5,
    clock,
    logger: silentLogger,
  });
  return { clock, notifier, sentAt, payloads };
}

describe("createNotifier", () => {
  it("tells the first commit at once, with a short payload that is always the same", () => {
    const { notifier, sentAt, payloads } = setUp();
    notifier.wake();

    expect(sentAt).toEqual([0]);
    expect([...payloads]).toEqual(["events"]);
  });

  it("tells all that come soon after together, and never forgets the last", async () => {
    const { clock, notifier, sentAt } = setUp();
    notifier.wake();
    for (let count = 0; count < 10; count++) notifier.wake();
    await clock.advance(4);
    notifier.wake();
    await clock.advance(1);

    expect(sentAt).toEqual([0, 5]);
  });

  it("keeps its distance as long as commits go on", async () => {
    const { clock, notifier, sentAt } = setUp();
    for (let ms = 0; ms < 20; ms++) {
      notifier.wake();
      await clock.advance(1);
    }

    expect(sentAt).toEqual([0, 5, 10, 15, 20]);
  });

  it("tells at once again after a silence", async () => {
    const { clock, notifier, sentAt } = setUp();
    notifier.wake();
    await clock.advance(100);
    notifier.wake();

    expect(sentAt).toEqual([0, 100]);
  });

  it("goes on after a notification that failed", async () => {
    const { clock, notifier, sentAt } = setUp(() => Promise.reject(new Error("the queue is full")));
    notifier.wake();
    notifier.wake();
    await clock.advance(5);
    await clock.advance(5);
    notifier.wake();

    expect(sentAt).toEqual([0, 5, 10]);
    await notifier.close();
  });

  it("never has more than one under way, and tells all that came meanwhile together", async () => {
    const answers: (() => void)[] = [];
    const { clock, notifier, sentAt } = setUp(() => new Promise<void>((resolve) => answers.push(resolve)));
    for (let ms = 0; ms < 100; ms++) {
      notifier.wake();
      await clock.advance(1);
    }
    expect(sentAt).toEqual([0]);

    answers.shift()?.();
    await clock.settle();
    expect(sentAt).toEqual([0, 100]);
    answers.shift()?.();
    await clock.advance(100);
    expect(sentAt).toEqual([0, 100]);
  });

  it("tells what is left when it is closed, after what is under way, waits for both, and leaves no timer", async () => {
    const answers: (() => void)[] = [];
    const { clock, notifier, sentAt } = setUp(() => new Promise<void>((resolve) => answers.push(resolve)));
    notifier.wake();
    notifier.wake();
    let closed = false;

    const closing = notifier.close().then(() => {
      closed = true;
    });
    expect(sentAt).toEqual([0]);
    expect(clock.pending).toBe(0);
    answers.shift()?.();
    await clock.settle();
    expect(sentAt).toEqual([0, 0]);
    expect(closed).toBe(false);
    answers.shift()?.();
    await closing;
  });

  it("does not try once more on closing what has just failed", async () => {
    const refused = Promise.withResolvers<void>();
    const { notifier, sentAt } = setUp(() => refused.promise);
    notifier.wake();
    notifier.wake();
    const closing = notifier.close();
    refused.reject(new Error("the line is dead"));
    await closing;

    expect(sentAt).toEqual([0]);
  });

  it("says nothing any more once it is closed", async () => {
    const { notifier, sentAt } = setUp();
    await notifier.close();
    notifier.wake();

    expect(sentAt).toEqual([]);
  });
});
