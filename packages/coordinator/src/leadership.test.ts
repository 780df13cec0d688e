import { createEvents, silentLogger, type WorkerEvents } from "@pup/core";
import { createManualClock, createMemoryStore, recordEvents } from "@pup/testing";
import { describe, expect, it } from "vitest";
import { createLeadershipDuty } from "./leadership.ts";

describe("A worker's part in leading", () => {
  it("is over once it has stepped down, whatever answers afterwards", async () => {
    const clock = createManualClock();
    const session = await createMemoryStore({ clock }).openControlSession();
    const { promise: answered, resolve: answer } = Promise.withResolvers<void>();
    const tick = async () => {
      const leadership = await session.election.tick();
      await answered;
      return leadership;
    };
    const events = createEvents<WorkerEvents>();
    const recorded = recordEvents<WorkerEvents>(events);
    const duty = createLeadershipDuty({
      workerId: "w-1",
      session: { ...session, election: { ...session.election, tick } },
      heartbeatTimeoutMs: 30_000,
      livenessIntervalMs: 250,
      rebalanceIntervalMs: 5_000,
      sticky: false,
      clock,
      logger: silentLogger,
      events,
    });
    const ticked = duty.tick();
    duty.stepDown();
    answer();
    await ticked;

    expect(duty.leads).toBe(false);
    expect(recorded.all).toEqual([]);
  });
});
