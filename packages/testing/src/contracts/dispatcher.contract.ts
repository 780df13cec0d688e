import type { Clock, ControlSignal, Dispatcher, DispatcherEvents, GlobalPosition, Randomness } from "@pup/core";
import { silentLogger } from "@pup/core";
import { describe, expect, it } from "vitest";
import { countPending } from "../counting-clock.ts";
import { type EventRecording, recordEvents } from "../record-events.ts";
import { openForEach } from "./open-for-each.ts";

/** What the suite for dispatchers needs: one that has not been started, and the world it listens to. */
export interface DispatcherSetup {
  readonly dispatcher: Dispatcher;
  readonly clock: Clock;
  readonly random: Randomness;
  /** Asks the database, as a store does; rejects while it is cut off. */
  latestPosition(): Promise<GlobalPosition>;
  /** Commits an event, in the way that the dispatcher should notice. */
  commitEvent(): Promise<void>;
  /** Sends a control signal. Absent with dispatchers that carry none. */
  sendControl?(signal: ControlSignal): Promise<void>;
  /** Cuts the dispatcher off from what it listens to, and keeps it off. */
  cut(): Promise<void>;
  /** Ends what {@link DispatcherSetup.cut} did. */
  restore(): Promise<void>;
  /** Lets time pass: turns the clock, or waits. */
  elapse(durationMs: number): Promise<void>;
  /** Counts what the dispatcher has open outside of this process: its sessions. Absent with those that open nothing. */
  countOpen?(): Promise<number>;
  /** Closes everything that was opened. */
  dispose(): Promise<void>;
}

/** What a worker would have seen. */
interface Seen {
  wakeUps: number;
  questions: number;
  readonly controls: ControlSignal[];
  readonly recorded: EventRecording<DispatcherEvents>;
}

const PATIENCE_MS = 20_000;
const STEP_MS = 25;

/**
 * What every `Dispatcher` promises. Call it inside of a `describe`.
 *
 * @param open - gives each test a dispatcher that has not been started, on a database that can be reached
 */
export function dispatcherContract(open: () => Promise<DispatcherSetup>): void {
  const setup = openForEach(async () => {
    const opened = await open();
    return {
      ...opened,
      clock: countPending(opened.clock),
      async dispose() {
        await opened.dispatcher.stop();
        await opened.dispose();
      },
    };
  });

  /** Starts the dispatcher as a worker does. */
  const start = (): Seen & { readonly started: Promise<void> } => {
    const { dispatcher, clock, random } = setup();
    const recorded = recordEvents(dispatcher.events);
    const seen: Seen = { wakeUps: 0, questions: 0, controls: [], recorded };
    const started = dispatcher.start({
      wake() {
        seen.wakeUps += 1;
      },
      control(signal) {
        seen.controls.push(signal);
      },
      latestPosition() {
        seen.questions += 1;
        return setup().latestPosition();
      },
      clock,
      random,
      logger: silentLogger,
    });
    started.catch(() => undefined);
    return Object.assign(seen, { started });
  };

  const until = async (condition: () => boolean | Promise<boolean>) => {
    for (let waitedMs = 0; waitedMs < PATIENCE_MS; waitedMs += STEP_MS) {
      if (await condition()) return;
      await setup().elapse(STEP_MS);
    }
    throw new Error(`Expected it to come true within ${PATIENCE_MS} ms: ${condition}`);
  };

  const settledWithin = async (promise: Promise<unknown>) => {
    let settled = false;
    const settle = () => {
      settled = true;
    };
    promise.then(settle, settle);
    await until(() => settled);
    return promise;
  };

  const startWell = async () => {
    const seen = start();
    await settledWithin(seen.started);
    return seen;
  };

  describe("start", () => {
    it("resolves when wake-ups would arrive, and says so", async () => {
      const { recorded } = await startWell();

      expect(recorded.of("dispatcher:connected")).toEqual([{ attempt: 1 }]);
      expect(setup().dispatcher.health()).toMatchObject({ healthy: true, problem: null });
    });

    it("gives the same promise when it is called again", async () => {
      const { started } = await startWell();
      const again = start();

      await again.started;
      expect(again.recorded.all).toEqual([]);
      expect(started).toBe(again.started);
    });

    it("waits for a database that is away, and does not reject", async () => {
      await setup().cut();
      const seen = start();
      let settled = false;
      void seen.started.finally(() => {
        settled = true;
      });
      await setup().elapse(600);
      expect(settled).toBe(false);
      expect(setup().dispatcher.health()).toMatchObject({ healthy: false, problem: expect.any(String) });

      await setup().restore();

      await settledWithin(seen.started);
      expect(setup().dispatcher.health().healthy).toBe(true);
    });
  });

  describe("while it runs", () => {
    it("wakes after a commit", async () => {
      const seen = await startWell();
      const before = seen.wakeUps;

      await setup().commitEvent();

      await until(() => seen.wakeUps > before);
    });

    it("wakes after each of several commits", async () => {
      const seen = await startWell();
      for (let round = 0; round < 3; round++) {
        const before = seen.wakeUps;
        await setup().commitEvent();
        await until(() => seen.wakeUps > before);
      }
    });

    it("wakes at least once for what was there before it started", async () => {
      await setup().commitEvent();
      const seen = await startWell();

      await until(() => seen.wakeUps > 0);
    });

    it("passes control signals on, if it carries any", async () => {
      const seen = await startWell();
      const { sendControl } = setup();
      if (!sendControl) return expect(seen.controls).toEqual([]);

      for (const signal of ["assignments-changed", "worker-joined", "checkpoint-passed"] as const) {
        await sendControl(signal);
        await until(() => seen.controls.includes(signal));
      }
    });

    it("never takes an event for a control signal", async () => {
      const seen = await startWell();
      const before = seen.wakeUps;
      await setup().commitEvent();
      await until(() => seen.wakeUps > before);

      expect(seen.controls).toEqual([]);
    });
  });

  describe("when it is cut off", () => {
    it("is unhealthy, says why, and tries again", async () => {
      const seen = await startWell();

      await setup().cut();

      await until(() => seen.recorded.of("dispatcher:disconnected").length > 0);
      expect(setup().dispatcher.health()).toMatchObject({ healthy: false, problem: expect.any(String) });
      const [first] = seen.recorded.of("dispatcher:disconnected");
      expect(first?.error).toBeInstanceOf(Error);
      expect(first?.retryInMs).toBeGreaterThanOrEqual(0);
    });

    it("recovers, says so, and wakes, because it may have missed something", async () => {
      const seen = await startWell();
      await setup().cut();
      await until(() => !setup().dispatcher.health().healthy);
      const before = seen.wakeUps;
      seen.recorded.clear();

      await setup().restore();

      await until(() => setup().dispatcher.health().healthy);
      await until(() => seen.wakeUps > before);
      expect(seen.recorded.of("dispatcher:connected")).toHaveLength(1);
    });

    it("wakes after commits again once it has recovered", async () => {
      const seen = await startWell();
      await setup().cut();
      await until(() => !setup().dispatcher.health().healthy);
      await setup().restore();
      await until(() => setup().dispatcher.health().healthy);
      const before = seen.wakeUps;

      await setup().commitEvent();

      await until(() => seen.wakeUps > before);
    });
  });

  describe("stop", () => {
    const expectNothingLeft = async () => {
      const { countOpen } = setup();
      expect(setup().clock.pending).toBe(0);
      if (countOpen) await until(async () => (await countOpen()) === 0);
    };

    it("leaves nothing behind, and calls nothing any more", async () => {
      const seen = await startWell();
      await settledWithin(setup().dispatcher.stop());
      await expectNothingLeft();
      const after = { wakeUps: seen.wakeUps, questions: seen.questions };

      await setup().commitEvent();
      await setup().elapse(300);

      expect(seen).toMatchObject({ ...after, controls: [] });
      expect(setup().dispatcher.health().healthy).toBe(false);
    });

    it("may come twice, and before the start", async () => {
      await setup().dispatcher.stop();
      await setup().dispatcher.stop();
      await expectNothingLeft();

      await expect(start().started).rejects.toMatchObject({ code: "PUP_INVALID_STATE" });
    });

    it("ends a start that is still under way", async () => {
      const seen = start();
      await settledWithin(setup().dispatcher.stop());

      await settledWithin(seen.started.catch(() => undefined));
      await expectNothingLeft();
    });

    it("ends a start that waits for the database, which then rejects", async () => {
      await setup().cut();
      const seen = start();
      await setup().elapse(300);

      await settledWithin(setup().dispatcher.stop());

      await expect(settledWithin(seen.started)).rejects.toMatchObject({ code: "PUP_START_ABORTED" });
      await expectNothingLeft();
    });

    it("ends the attempts to get back what was cut off", async () => {
      await startWell();
      await setup().cut();
      await until(() => !setup().dispatcher.health().healthy);

      await settledWithin(setup().dispatcher.stop());

      await expectNothingLeft();
    });
  });
}
