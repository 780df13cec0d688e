import { silentLogger } from "@pup/core";
import { describe, expect, it } from "vitest";
import { createManualClock } from "./manual-clock.ts";
import { createManualDispatcher } from "./manual-dispatcher.ts";
import { recordEvents } from "./record-events.ts";
import { createSeededRandomness } from "./seeded-randomness.ts";

describe("createManualDispatcher", () => {
  const start = async () => {
    const dispatcher = createManualDispatcher();
    const recorded = recordEvents(dispatcher.events);
    const calls: string[] = [];
    await dispatcher.start({
      wake: () => calls.push("wake"),
      control: (signal) => calls.push(signal),
      latestPosition: () => expect.unreachable(),
      clock: createManualClock(),
      random: createSeededRandomness(1),
      logger: silentLogger,
    });
    return { dispatcher, recorded, calls };
  };

  it("wakes and passes signals on when told to, and never by itself", async () => {
    const { dispatcher, calls } = await start();
    expect(calls).toEqual([]);

    dispatcher.wake();
    dispatcher.control("worker-joined");

    expect(calls).toEqual(["wake", "worker-joined"]);
  });

  it("does nothing before it is started and after it is stopped", async () => {
    const unstarted = createManualDispatcher();
    unstarted.wake();
    expect(unstarted.started).toBe(false);

    const { dispatcher, calls } = await start();
    expect(dispatcher.started).toBe(true);
    await dispatcher.stop();
    await dispatcher.stop();
    dispatcher.wake();
    dispatcher.control("worker-joined");

    expect(dispatcher.started).toBe(false);
    expect(calls).toEqual([]);
  });

  it("tells of a disturbance and its end", async () => {
    const { dispatcher, recorded } = await start();
    expect(dispatcher.health()).toEqual({ healthy: true, problem: null });

    dispatcher.setProblem("cable cut");
    expect(dispatcher.health()).toEqual({ healthy: false, problem: "cable cut" });
    dispatcher.setProblem(null);

    expect(dispatcher.health()).toEqual({ healthy: true, problem: null });
    expect(recorded.all.map(({ name }) => name)).toEqual([
      "dispatcher:connected",
      "dispatcher:disconnected",
      "dispatcher:connected",
    ]);
  });
});
