import { type Clock, systemClock } from "@pup/core";
import { describe, expect, it } from "vitest";
import { createTurns } from "./turns.ts";

/** A clock of which time passes by itself, and timers come when they are called. */
function createHand() {
  let nowMs = 0;
  const timers = new Set<() => void>();
  const clock: Clock = {
    now: () => nowMs,
    after(_, callback) {
      timers.add(callback);
      return () => timers.delete(callback);
    },
  };
  return {
    clock,
    pass: (ms: number) => {
      nowMs += ms;
    },
    /** The event loop gets round. */
    turn() {
      for (const timer of [...timers]) {
        timers.delete(timer);
        timer();
      }
    },
    timers,
  };
}

const { signal } = new AbortController();

describe("The turns of others", () => {
  it("are due when the event loop has not got round for long", () => {
    const { clock, pass } = createHand();
    const turns = createTurns(clock);
    pass(6);
    expect(turns.areDue).toBe(false);
    pass(4);
    expect(turns.areDue).toBe(false);
    pass(2);
    expect(turns.areDue).toBe(true);
  });

  it("are never due for work that lets it get round by itself", () => {
    const { clock, pass, turn } = createHand();
    const turns = createTurns(clock);
    for (let step = 0; step < 20; step++) {
      pass(6);
      expect(turns.areDue).toBe(false);
      turn();
    }
  });

  it("are over when they have been given, and come again", async () => {
    const { clock, pass, turn } = createHand();
    const turns = createTurns(clock);
    for (let round = 0; round < 3; round++) {
      pass(6);
      if (round === 0) expect(turns.areDue).toBe(false);
      pass(6);
      expect(turns.areDue).toBe(true);
      const given = turns.give(signal);
      turn();
      await given;
      expect(turns.areDue).toBe(false);
    }
  });

  it("leave no timer behind", () => {
    const { clock, pass, timers } = createHand();
    const turns = createTurns(clock);
    pass(6);
    expect(turns.areDue).toBe(false);
    expect(timers.size).toBe(1);
    turns.dispose();
    expect(timers.size).toBe(0);
  });

  it("let others run beside work that never waits", async () => {
    const turns = createTurns(systemClock);
    let ran = 0;
    const timer = setInterval(() => {
      ran += 1;
    }, 1);
    const endMs = performance.now() + 200;
    while (performance.now() < endMs) if (turns.areDue) await turns.give(signal);
    turns.dispose();
    clearInterval(timer);

    // About once in ten milliseconds, and more rarely only where something else keeps the machine.
    expect(ran).toBeGreaterThan(2);
  });
});
