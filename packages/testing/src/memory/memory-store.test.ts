import { describe, expect, it } from "vitest";
import { createManualClock } from "../manual-clock.ts";
import { createSeededRandomness } from "../seeded-randomness.ts";
import { createMemoryStore } from "./memory-store.ts";

describe("smoke", () => {
  it("works", async () => {
    const clock = createManualClock();
    const store = createMemoryStore({ clock, random: createSeededRandomness(1) });
    const r = await store.append([{ aggregateType: "A", aggregateId: "1", type: "T", payload: { bb: 1, a: new Date(0) } }]);
    expect(r.toVersion).toBe(1);
    const open = await store.begin();
    await store.append([{ aggregateType: "A", aggregateId: "1", type: "T", payload: {} }], { tx: open.tx });
    const waiting = store.append([{ aggregateType: "A", aggregateId: "1", type: "T", payload: {} }], { expectedVersion: 2 });
    await store.append([{ aggregateType: "B", aggregateId: "1", type: "T", payload: {} }]);
    expect((await store.inFlightAppenders()).appenders.length).toBe(2);
    await open.commit();
    await waiting;
    const page = await store.readLog({ after: 0n, upTo: 10n, limit: 10, maxBytes: 1e6 });
    expect(page.events.map((e) => e.globalPosition)).toEqual([1n, 2n, 3n, 4n]);
    await store.createCheckpoint("c", 0n);
    const s = await store.openControlSession();
    await s.register({ workerId: "w", consumers: ["c"] });
    const l = await s.election.tick();
    if (!l) throw new Error("no leader");
    await s.assign(l, { assignments: new Map([["c", "w"]]), dead: [] });
    const a = await store.acquire({ consumer: "c", workerId: "w", claim: "assigned", graceMs: 1, heartbeatTimeoutMs: 100 });
    expect(a).toEqual({ outcome: "acquired", epoch: 1, position: 0n });
    await store.runBatch({ consumer: "c", epoch: 1, from: 0n, to: 4n, timeoutMs: 100, signal: new AbortController().signal }, async (tx) => {
      await tx.table<number>("t").update("x", (n = 0) => n + 1);
    });
    expect(store.table("t")).toEqual(new Map([["x", 1]]));
    expect(clock.pending).toBe(0);
    const late = store.runBatch({ consumer: "c", epoch: 1, from: 4n, to: 5n, timeoutMs: 100, signal: new AbortController().signal }, () => new Promise(() => {}));
    await expect(clock.runUntil(late)).rejects.toMatchObject({ code: "PUP_BATCH_TIMEOUT" });
  });
});
