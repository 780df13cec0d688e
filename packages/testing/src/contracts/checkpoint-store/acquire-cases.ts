import { describe, expect, it } from "vitest";
import { range } from "../sample-events.ts";
import type { StoreSetup } from "../store-setup.ts";
import { assignTo, workerA, workerB } from "../workers.ts";
import { checkpointActions, epochOf, LONG_MS } from "./checkpoint-actions.ts";

/** Who takes a consumer over, and from whom. */
export function acquireCases<Tx>(setup: () => StoreSetup<Tx>): void {
  const { acquire, read, ownedByA, beginBatch } = checkpointActions(setup);
  const checkpoints = () => setup().store;

  describe("acquire what was assigned", () => {
    it("finds no checkpoint until one is created", async () => {
      const session = await setup().store.openControlSession();
      await session.register({ workerId: workerA, consumers: ["orders"] });
      await assignTo(session, { orders: workerA });

      expect(await acquire()).toEqual({ outcome: "missing" });

      await checkpoints().createCheckpoint("orders", 5n);
      expect(await acquire()).toEqual({ outcome: "acquired", epoch: expect.any(Number), position: 5n });
    });

    it("refuses what nobody or somebody else was given", async () => {
      const { session } = await ownedByA();
      await checkpoints().createCheckpoint("invoices", 0n);

      expect(await acquire({ workerId: workerB })).toEqual({ outcome: "not-yours" });
      expect(await acquire({ consumer: "invoices" })).toEqual({ outcome: "not-yours" });

      await assignTo(session, { orders: workerB });
      expect(await acquire()).toEqual({ outcome: "not-yours" });
    });

    it("shows the new owner and its epoch", async () => {
      const { epoch } = await ownedByA();

      expect(await read()).toEqual({ consumer: "orders", position: 0n, epoch, ownerId: workerA });
    });

    it("raises the epoch with each take-over, the same worker's included", async () => {
      const { epoch } = await ownedByA();
      const second = epochOf(await acquire());
      const third = epochOf(await acquire());

      expect(second).toBeGreaterThan(epoch);
      expect(third).toBeGreaterThan(second);
    });

    it("never gives the same epoch twice, however many ask at once", async () => {
      await ownedByA();

      const results = await Promise.all(
        range(1, 6).map((index) =>
          (index % 2 ? setup().store : setup().other).acquire({
            consumer: "orders",
            workerId: workerA,
            claim: "assigned",
            graceMs: LONG_MS,
            batchTimeoutMs: LONG_MS,
            heartbeatTimeoutMs: LONG_MS,
          }),
        ),
      );

      const epochs = results.flatMap((result) => (result.outcome === "acquired" ? [result.epoch] : []));
      expect(epochs.length).toBeGreaterThan(0);
      expect(new Set(epochs).size).toBe(epochs.length);
      expect(Math.max(...epochs)).toBe((await read())?.epoch);
    });

    it("leaves a live owner its grace to finish", async () => {
      const { session, epoch } = await ownedByA();
      await assignTo(session, { orders: workerB });

      expect(await acquire({ workerId: workerB })).toEqual({ outcome: "held", ownerId: workerA });
      expect(await read()).toMatchObject({ epoch, ownerId: workerA });
    });

    it("takes over from an owner that handed the consumer back", async () => {
      const { session, epoch } = await ownedByA();
      await checkpoints().advance([{ consumer: "orders", epoch, position: 12n }]);
      await assignTo(session, { orders: workerB });
      await checkpoints().release([{ consumer: "orders", epoch }]);

      expect(await acquire({ workerId: workerB })).toMatchObject({ outcome: "acquired", position: 12n });
    });

    it("takes over when the grace is over, counted from the change of the assignment", async () => {
      const { session } = await ownedByA();
      await setup().elapse(60);
      await assignTo(session, { orders: workerB });

      expect(await acquire({ workerId: workerB, graceMs: 50 })).toMatchObject({ outcome: "held" });
      await setup().elapse(60);
      expect(await acquire({ workerId: workerB, graceMs: 50 })).toMatchObject({ outcome: "acquired" });
    });

    it("takes over from an owner that has been silent for too long", async () => {
      const { session } = await ownedByA();
      await assignTo(session, { orders: workerB });
      await setup().elapse(60);

      expect(await acquire({ workerId: workerB, heartbeatTimeoutMs: 50 })).toMatchObject({ outcome: "acquired" });
    });

    it("takes over at once from an owner that signed off", async () => {
      const { session } = await ownedByA();
      await session.deregister(workerA);
      await assignTo(session, { orders: workerB });

      expect(await acquire({ workerId: workerB })).toMatchObject({ outcome: "acquired" });
    });

    it("takes over at once from an owner that was struck off as dead", async () => {
      const { session } = await ownedByA();
      await assignTo(session, { orders: workerB }, [workerA]);

      expect(await acquire({ workerId: workerB })).toMatchObject({ outcome: "acquired" });
    });

    it("does not wait for long while a batch of the owner's is running", async () => {
      const { session, epoch } = await ownedByA();
      await assignTo(session, { orders: workerB });
      const batch = await beginBatch(epoch);

      const waiting = acquire({ workerId: workerB, graceMs: 0 });
      await setup().elapse(400);
      expect(await waiting).toMatchObject({ outcome: "held" });

      batch.finish();
      await batch.outcome;
      expect(await acquire({ workerId: workerB, graceMs: 0 })).toMatchObject({ outcome: "acquired", position: 9n });
    });

    it("ends the batch of an owner that was struck off as dead", async () => {
      const { session, epoch } = await ownedByA();
      const batch = await beginBatch(epoch);
      await assignTo(session, { orders: workerB }, [workerA]);

      const waiting = acquire({ workerId: workerB });
      await setup().elapse(400);

      expect(await waiting).toMatchObject({ outcome: "acquired", position: 0n });
      expect(await batch.outcome).toBeInstanceOf(Error);
    });

    it("leaves a live owner's batch alone beyond the grace, for as long as a batch may take", async () => {
      const { session, epoch } = await ownedByA();
      const batch = await beginBatch(epoch);
      await assignTo(session, { orders: workerB });
      // Five seconds come on top of the longer of the two: both are over, but those are not.
      await setup().elapse(100);

      const waiting = acquire({ workerId: workerB, graceMs: 50, batchTimeoutMs: 50 });
      await setup().elapse(400);

      expect(await waiting).toMatchObject({ outcome: "held" });
      batch.finish();
      expect(await batch.outcome).toBeUndefined();
    });
  });

  describe("acquire what nobody owns", () => {
    it("takes a consumer that no worker has", async () => {
      await checkpoints().createCheckpoint("orders", 4n);

      expect(await acquire({ claim: "unowned" })).toMatchObject({ outcome: "acquired", position: 4n });
    });

    it("finds no checkpoint until one is created", async () => {
      expect(await acquire({ claim: "unowned" })).toEqual({ outcome: "missing" });
    });

    it("leaves alone what a live worker owns", async () => {
      const { session } = await ownedByA();
      await assignTo(session, {});

      expect(await acquire({ workerId: workerB, claim: "unowned" })).toEqual({ outcome: "not-yours" });
    });

    it("leaves alone what a live worker was given, though it has not taken it yet", async () => {
      const { session, epoch } = await ownedByA();
      await checkpoints().release([{ consumer: "orders", epoch }]);
      await assignTo(session, { orders: workerA });

      expect(await acquire({ workerId: workerB, claim: "unowned" })).toEqual({ outcome: "not-yours" });
    });

    it("takes over from a silent owner", async () => {
      await ownedByA();
      await setup().elapse(60);

      const request = { workerId: workerB, claim: "unowned", heartbeatTimeoutMs: 50 } as const;
      expect(await acquire(request)).toMatchObject({ outcome: "acquired" });
    });

    it("lets one of two live workers win", async () => {
      const session = await setup().store.openControlSession();
      for (const workerId of [workerA, workerB]) await session.register({ workerId, consumers: [] });
      await checkpoints().createCheckpoint("orders", 0n);

      const results = await Promise.all([
        acquire({ workerId: workerA, claim: "unowned" }),
        acquire({ workerId: workerB, claim: "unowned" }),
      ]);

      expect(results.filter(({ outcome }) => outcome === "acquired")).toHaveLength(1);
    });
  });
}
