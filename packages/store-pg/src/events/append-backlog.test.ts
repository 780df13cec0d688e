import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { queuedAppend } from "../test-support/queued-append.ts";
import { createAppendBacklog } from "./append-backlog.ts";

describe("The appends that wait", () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  const overloaded = expect.objectContaining({ code: "PUP_OVERLOADED" });
  const create = () => createAppendBacklog({ maxWaitMs: 1_000, maxAppends: 3, maxLength: 1_000 });

  it("are given up when their time is over, each at its own", async () => {
    const backlog = create();
    const first = queuedAppend();
    backlog.add(first);
    vi.advanceTimersByTime(600);
    const second = queuedAppend();
    backlog.add(second);

    vi.advanceTimersByTime(400);
    expect([first.isGone, second.isGone]).toEqual([true, false]);
    expect(await first.outcome).toEqual(overloaded);

    vi.advanceTimersByTime(600);
    expect(second.isGone).toBe(true);
  });

  it("are left alone once they are sent", () => {
    const backlog = create();
    const append = queuedAppend();
    backlog.add(append);
    backlog.delete(append);

    vi.advanceTimersByTime(5_000);

    expect(append.isGone).toBe(false);
    expect(vi.getTimerCount()).toBe(0);
  });

  it("are no more than so many", () => {
    const backlog = create();
    const first = queuedAppend();
    for (const append of [first, queuedAppend(), queuedAppend()]) backlog.add(append);

    expect(() => backlog.add(queuedAppend())).toThrow(overloaded);
    backlog.delete(first);
    backlog.add(queuedAppend());
  });

  it("are no larger than so much together; one alone may be", () => {
    const backlog = create();
    const large = queuedAppend({ payload: "x".repeat(2_000) });
    backlog.add(large);

    expect(() => backlog.add(queuedAppend())).toThrow(overloaded);
    backlog.delete(large);
    backlog.add(queuedAppend());
  });
});
