import type { Claim } from "@pup/core";
import { describe, expect, it } from "vitest";
import { range } from "../sample-events.ts";
import type { StoreSetup } from "../store-setup.ts";
import { assignTo, workerA, workerB } from "../workers.ts";
import { checkpointActions, LONG_MS } from "./checkpoint-actions.ts";

/** What is told to who waits for many consumers. */
export function acquirableCases<Tx>(setup: () => StoreSetup<Tx>): void {
  const { acquire, read, ownedByA, beginBatch } = checkpointActions(setup);
  const checkpoints = () => setup().store;

  describe("acquirable", () => {
    const acquirable = (consumers: readonly string[], request: Partial<Claim> = {}) =>
      checkpoints().acquirable({
        consumers,
        workerId: workerB,
        claim: "assigned",
        graceMs: LONG_MS,
        heartbeatTimeoutMs: LONG_MS,
        ...request,
      });

    it("names what acquire would give, and leaves out what it would refuse", async () => {
      const { session, epoch } = await ownedByA();
      for (const consumer of ["free", "elsewhere", "unassigned"]) await checkpoints().createCheckpoint(consumer, 0n);
      await assignTo(session, { orders: workerB, free: workerB, elsewhere: workerA });
      const all = ["orders", "free", "elsewhere", "unassigned"];

      expect(await acquirable(all)).toEqual(["free"]);
      await checkpoints().release([{ consumer: "orders", epoch }]);
      expect([...(await acquirable(all))].sort()).toEqual(["free", "orders"]);
      for (const consumer of all) {
        const { outcome } = await acquire({ consumer, workerId: workerB });
        expect(outcome === "acquired").toBe(consumer === "free" || consumer === "orders");
      }
    });

    it("names those without a checkpoint too: whoever asks for them learns that", async () => {
      expect(await acquirable(["never-heard-of"])).toEqual(["never-heard-of"]);
    });

    it("goes by the grace, by death and by who claims, as acquire does", async () => {
      const { session } = await ownedByA();
      await setup().elapse(60);
      await assignTo(session, { orders: workerB });
      expect(await acquirable(["orders"], { graceMs: 50 })).toEqual([]);
      expect(await acquirable(["orders"], { claim: "unowned" })).toEqual([]);
      expect(await acquirable(["orders"], { heartbeatTimeoutMs: 50 })).toEqual(["orders"]);

      await setup().elapse(60);
      expect(await acquirable(["orders"], { graceMs: 50 })).toEqual(["orders"]);
    });

    it("takes nothing, and does not wait for a batch that is running", async () => {
      const { session, epoch } = await ownedByA();
      const batch = await beginBatch(epoch);
      await assignTo(session, { orders: workerB }, [workerA]);

      expect(await acquirable(["orders"])).toEqual(["orders"]);
      expect(await read()).toMatchObject({ epoch, ownerId: workerA });
      batch.finish();
      await batch.outcome;
    });

    it("has nothing to say of an empty list", async () => {
      expect(await acquirable([])).toEqual([]);
    });

    it("takes many at once", async () => {
      const consumers = range(1, 1_000).map((index) => `consumer-${index}`);

      expect(await acquirable(consumers)).toHaveLength(1_000);
    });
  });
}
