import type { Clock } from "@pup/core";

/** How a process's clock differs from the true time. */
export interface ClockSkew {
  /** What it shows at the beginning, in milliseconds. */
  readonly offsetMs: number;
  /** Its milliseconds in a true one: 1.01 is one percent fast. */
  readonly rate: number;
}

/** A process with a clock of its own, which can stand still or die at any time between two steps. */
export interface SimulatedProcess {
  readonly name: string;
  readonly clock: Clock;
  /** Callbacks that its own clock still owes. */
  readonly pending: number;
  readonly isPaused: boolean;
  readonly isDead: boolean;
  /** What reaches the process passes here: at once (null), after a pause, or never. */
  pass(): Promise<void> | null;
  /** Stops everything in it, as SIGSTOP does. Its clock goes on, but nobody is called. */
  pause(): void;
  /** Lets it go on: what fell due meanwhile comes now, one after the other. */
  resume(): void;
  /** Ends it, as SIGKILL does: nothing in it is ever called again. */
  die(): void;
}

/** Creates a process. `time` is the true time, by which the server lives. */
export function createProcess(name: string, time: Clock, { offsetMs, rate }: ClockSkew): SimulatedProcess {
  const owed = new Set<() => void>();
  let held: (() => void)[] = [];
  let state: "running" | "paused" | "dead" = "running";

  /** Calls back in the process, when it runs. */
  const enter = (callback: () => void): void => {
    if (state === "running") callback();
    else if (state === "paused") held.push(callback);
  };

  return {
    name,
    clock: {
      now: () => offsetMs + time.now() * rate,
      after(delayMs, callback) {
        const cancelTimer = time.after(Math.max(0, delayMs) / rate, () => enter(callIfOwed));
        const callIfOwed = () => {
          if (owed.delete(cancel)) callback();
        };
        const cancel = () => {
          owed.delete(cancel);
          cancelTimer();
        };
        owed.add(cancel);
        return cancel;
      },
    },
    get pending() {
      return owed.size;
    },
    get isPaused() {
      return state === "paused";
    },
    get isDead() {
      return state === "dead";
    },
    pass() {
      if (state === "running") return null;
      return new Promise((resolve) => enter(resolve));
    },
    pause() {
      if (state === "running") state = "paused";
    },
    resume() {
      if (state !== "paused") return;
      state = "running";
      const waiting = held;
      held = [];
      // A step for each, as an event loop takes turns. One more pause may come in between.
      for (const callback of waiting) time.after(0, () => enter(callback));
    },
    die() {
      state = "dead";
      held = [];
      for (const cancel of [...owed]) cancel();
    },
  };
}
