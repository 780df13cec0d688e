import { silentLogger } from "@pup/core";
import { createManualClock, createMemoryStore } from "@pup/testing";
import { describe, expect, it } from "vitest";
import { createCheckpointSaver } from "./checkpoint-saver.ts";

async function open() {
  const clock = createManualClock();
  let failing = false;
  let saves = 0;
  const store = createMemoryStore({
    clock,
    beforeOperation: (operation) => {
      if (operation !== "advance") return;
      saves += 1;
      if (failing) throw new Error("Not now.");
    },
  });
  const acquire = async (consumer: string) => {
    await store.createCheckpoint(consumer, 0n);
    const request = {
      consumer,
      workerId: "w-1",
      claim: "unowned",
      graceMs: 1,
      batchTimeoutMs: 1,
      heartbeatTimeoutMs: 1,
    } as const;
    const answer = await store.acquire(request);
    if (answer.outcome !== "acquired") throw new Error(answer.outcome);
    return answer.epoch;
  };
  return {
    clock,
    saver: createCheckpointSaver({ store, clock, logger: silentLogger }),
    acquire,
    positionOf: async (consumer: string) => (await store.readCheckpoints([consumer]))[0]?.position,
    setFailing: (value: boolean) => {
      failing = value;
    },
    get saves() {
      return saves;
    },
  };
}

describe("The checkpoint saver", () => {
  it("saves for all consumers in one statement, at most once a second, and then rests", async () => {
    const lab = await open();
    const epochs = { a: await lab.acquire("a"), b: await lab.acquire("b") };
    for (const position of [1n, 2n, 3n]) {
      lab.saver.note("a", epochs.a, position);
      lab.saver.note("b", epochs.b, position);
    }
    await lab.clock.advance(10_000);

    expect(await lab.positionOf("a")).toBe(3n);
    expect(await lab.positionOf("b")).toBe(3n);
    expect(lab.saves).toBe(1);
    expect(lab.clock.pending).toBe(0);
  });

  it("tries again what could not be saved", async () => {
    const lab = await open();
    const epoch = await lab.acquire("a");
    lab.setFailing(true);
    lab.saver.note("a", epoch, 5n);
    await lab.clock.advance(3_000);
    lab.setFailing(false);
    await lab.clock.advance(1_000);

    expect(await lab.positionOf("a")).toBe(5n);
    expect(lab.clock.pending).toBe(0);
  });

  it("leaves no timer when everything is settled, flushed or forgotten, also when the save fails", async () => {
    const lab = await open();
    const epoch = await lab.acquire("a");
    lab.saver.note("a", epoch, 1n);
    await lab.saver.settle("a", epoch);
    expect(lab.clock.pending).toBe(0);
    lab.saver.note("a", epoch, 2n);
    await lab.saver.flush("a", epoch);
    expect(lab.clock.pending).toBe(0);
    expect(await lab.positionOf("a")).toBe(2n);

    lab.setFailing(true);
    lab.saver.note("a", epoch, 3n);
    await lab.saver.flush("a", epoch);
    expect(lab.clock.pending).toBe(0);
    lab.saver.note("a", epoch, 4n);
    lab.saver.forget("a");
    expect(lab.clock.pending).toBe(0);
  });

  it("tells who has been taken over, also one that only notes, and the next epoch nothing of it", async () => {
    const lab = await open();
    const epoch = await lab.acquire("a");
    const next = await lab.acquire("a");
    lab.saver.note("a", epoch, 1n);
    await lab.clock.advance(1_000);

    expect(() => lab.saver.note("a", epoch, 2n)).toThrow(expect.objectContaining({ code: "PUP_FENCED" }));
    lab.saver.note("a", next, 2n);
    await lab.clock.advance(1_000);
    expect(await lab.positionOf("a")).toBe(2n);
  });
});
