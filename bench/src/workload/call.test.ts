import { describe, expect, it } from "vitest";
import { call } from "./call.ts";

describe("call", () => {
  it("lets each caller call again when it has its answer, and counts the answers", async () => {
    const running = new Map<number, number>();
    let answered = 0;
    const outcome = await call(
      { callers: 3, forMs: 20, signal: new AbortController().signal },
      (caller) => async () => {
        running.set(caller, (running.get(caller) ?? 0) + 1);
        expect(running.get(caller)).toBe(1);
        await new Promise(setImmediate);
        running.set(caller, 0);
        answered += 1;
      },
    );

    expect([...running.keys()]).toEqual([0, 1, 2]);
    expect(outcome.calls).toBe(answered);
    expect(outcome.callsPerSecond).toBeGreaterThan(0);
  });

  it("fails when a call does", async () => {
    const options = { callers: 2, forMs: 1_000, signal: new AbortController().signal };
    await expect(call(options, () => () => Promise.reject(new Error("refused")))).rejects.toThrow("refused");
  });

  it("ends when it is told to", async () => {
    const stopping = new AbortController();
    const running = call({ callers: 1, forMs: 60_000, signal: stopping.signal }, () => async () => {
      stopping.abort(new Error("enough"));
    });
    await expect(running).rejects.toThrow("enough");
  });
});
