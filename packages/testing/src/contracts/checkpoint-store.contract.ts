import type { AcquireRequest, AcquireResult, CheckpointAdvance, Claim, ControlSession } from "@pup/core";
import { describe, expect, it } from "vitest";
import { openForEach } from "./open-for-each.ts";
import { range } from "./sample-events.ts";
import type { StoreSetup } from "./store-setup.ts";
import { assignTo, workerA, workerB } from "./workers.ts";

const LONG_MS = 60_000;

/**
 * What every `CheckpointStore` promises. Call it inside of a `describe`.
 *
 * @param open - gives each test a store without checkpoints and workers
 */
export function checkpointStoreContract<Tx>(open: () => Promise<StoreSetup<Tx>>): void {
  const setup = openForEach(open);
  const checkpoints = () => setup().store;

  const acquire = (request: Partial<AcquireRequest> = {}) =>
    checkpoints().acquire({
      consumer: "orders",
      workerId: workerA,
      claim: "assigned",
      graceMs: LONG_MS,
      batchTimeoutMs: LONG_MS,
      heartbeatTimeoutMs: LONG_MS,
      ...request,
    });

  const read = async (consumer = "orders") => (await checkpoints().readCheckpoints([consumer]))[0];

  /** Both workers are registered, and worker A owns "orders" from now on. */
  const ownedByA = async (): Promise<{ session: ControlSession; epoch: number }> => {
    await checkpoints().createCheckpoint("orders", 0n);
    const session = await setup().store.openControlSession();
    await session.register({ workerId: workerA, consumers: ["orders"] });
    await session.register({ workerId: workerB, consumers: ["orders"] });
    await assignTo(session, { orders: workerA });
    return { session, epoch: epochOf(await acquire()) };
  };

  /** Worker A has begun a batch, in another process than the one that asks. */
  const beginBatch = async (epoch: number): Promise<{ outcome: Promise<unknown>; finish(): void }> => {
    const { promise: finished, resolve: finish } = Promise.withResolvers<void>();
    const begun = Promise.withResolvers<void>();
    const { signal } = new AbortController();
    const outcome = setup()
      .other.runBatch({ consumer: "orders", epoch, from: 0n, to: 9n, timeoutMs: LONG_MS, signal }, () => {
        begun.resolve();
        return finished;
      })
      .catch((error: unknown) => error);
    await begun.promise;
    return { outcome, finish };
  };

  describe("createCheckpoint and readCheckpoints", () => {
    it("leaves consumers without checkpoint out of the answer", async () => {
      await checkpoints().createCheckpoint("orders", 7n);

      expect(await checkpoints().readCheckpoints(["orders", "never-heard-of"])).toMatchObject([{ consumer: "orders" }]);
      expect(await checkpoints().readCheckpoints([])).toEqual([]);
    });

    it("begins without owner, at the position given", async () => {
      await checkpoints().createCheckpoint("orders", 7n);

      expect(await read()).toEqual({ consumer: "orders", position: 7n, epoch: expect.any(Number), ownerId: null });
    });

    it("leaves a checkpoint as it is that exists already", async () => {
      await checkpoints().createCheckpoint("orders", 7n);
      await checkpoints().createCheckpoint("orders", 99n);

      expect((await read())?.position).toBe(7n);
    });

    it("creates one checkpoint when many create it at once", async () => {
      await Promise.all(range(1, 8).map(() => checkpoints().createCheckpoint("orders", 7n)));

      expect(await checkpoints().readCheckpoints(["orders"])).toHaveLength(1);
    });

    it("keeps positions that no JavaScript number could", async () => {
      await checkpoints().createCheckpoint("orders", 2n ** 62n + 1n);

      expect((await read())?.position).toBe(2n ** 62n + 1n);
    });

    it.each(["orders.v2", "ORDERS", "it's", 'with "quotes"', "a,b{c}", "Zażółć 🐶", "x".repeat(255)])(
      "takes any name: %s",
      async (name) => {
        await checkpoints().createCheckpoint(name, 1n);
        await checkpoints().createCheckpoint("orders", 2n);

        expect(await checkpoints().readCheckpoints([name])).toMatchObject([{ consumer: name, position: 1n }]);
      },
    );
  });

  describe("greatestCheckpoint", () => {
    it("is 0 without checkpoints", async () => {
      expect(await checkpoints().greatestCheckpoint()).toBe(0n);
    });

    it("is the highest of all, whoever owns it", async () => {
      for (const [consumer, position] of [
        ["a", 3n],
        ["b", 10n],
        ["c", 9n],
      ] as const) {
        await checkpoints().createCheckpoint(consumer, position);
      }

      expect(await checkpoints().greatestCheckpoint()).toBe(10n);
    });
  });

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

  describe("advance", () => {
    it("moves a checkpoint forward", async () => {
      const { epoch } = await ownedByA();

      expect(await checkpoints().advance([{ consumer: "orders", epoch, position: 8n }])).toEqual([]);
      expect(await read()).toMatchObject({ position: 8n, epoch, ownerId: workerA });
    });

    it("never moves one backwards, and takes that for no fault", async () => {
      const { epoch } = await ownedByA();
      await checkpoints().advance([{ consumer: "orders", epoch, position: 8n }]);

      expect(await checkpoints().advance([{ consumer: "orders", epoch, position: 8n }])).toEqual([]);
      expect(await checkpoints().advance([{ consumer: "orders", epoch, position: 3n }])).toEqual([]);
      expect((await read())?.position).toBe(8n);
    });

    it("does not wait for the batch of another epoch's owner", async () => {
      const { epoch } = await ownedByA();
      let finish = (): void => undefined;
      const hanging = new Promise<void>((resolve) => {
        finish = resolve;
      });
      let begun = (): void => undefined;
      const running = new Promise<void>((resolve) => {
        begun = resolve;
      });
      const { signal } = new AbortController();
      const batch = checkpoints().runBatch(
        { consumer: "orders", epoch, from: 0n, to: 5n, timeoutMs: LONG_MS, signal },
        () => {
          begun();
          return hanging;
        },
      );
      await running;

      const refused = await setup().other.advance([{ consumer: "orders", epoch: epoch + 1, position: 8n }]);
      expect(refused).toEqual(["orders"]);
      finish();
      await batch;
      expect((await read())?.position).toBe(5n);
    });

    it("refuses another epoch than the present one, and names the consumer", async () => {
      const { epoch } = await ownedByA();
      const present = epochOf(await acquire());

      expect(await checkpoints().advance([{ consumer: "orders", epoch, position: 8n }])).toEqual(["orders"]);
      expect(await checkpoints().advance([{ consumer: "orders", epoch: present + 1, position: 8n }])).toEqual([
        "orders",
      ]);
      expect((await read())?.position).toBe(0n);
    });

    it("moves some and refuses others in one call", async () => {
      const { epoch } = await ownedByA();
      for (const consumer of ["a", "b"]) await checkpoints().createCheckpoint(consumer, 0n);
      const a = epochOf(await acquire({ consumer: "a", claim: "unowned" }));
      const b = epochOf(await acquire({ consumer: "b", claim: "unowned" }));

      const refused = await checkpoints().advance([
        { consumer: "orders", epoch, position: 8n },
        { consumer: "b", epoch: b - 1, position: 8n },
        { consumer: "a", epoch: a, position: 9n },
        { consumer: "never-heard-of", epoch: 1, position: 9n },
      ]);

      expect([...refused].sort()).toEqual(["b", "never-heard-of"]);
      expect((await read())?.position).toBe(8n);
      expect((await read("a"))?.position).toBe(9n);
      expect((await read("b"))?.position).toBe(0n);
    });

    it("has nothing to do for an empty list", async () => {
      expect(await checkpoints().advance([])).toEqual([]);
    });

    it("gets along with others that move the same checkpoints in another order", async () => {
      const consumers = range(1, 10).map((index) => `c-${index}`);
      const owned: CheckpointAdvance[] = [];
      for (const consumer of consumers) {
        await checkpoints().createCheckpoint(consumer, 0n);
        owned.push({ consumer, epoch: epochOf(await acquire({ consumer, claim: "unowned" })), position: 5n });
      }

      await Promise.all(
        range(1, 10).map((index) =>
          (index % 2 ? setup().store : setup().other).advance(index % 2 ? owned : owned.toReversed()),
        ),
      );

      const positions = (await checkpoints().readCheckpoints(consumers)).map(({ position }) => position);
      expect(positions).toEqual(consumers.map(() => 5n));
    });
  });

  describe("release", () => {
    it("takes the owner away and leaves the position", async () => {
      const { epoch } = await ownedByA();
      await checkpoints().advance([{ consumer: "orders", epoch, position: 8n }]);

      await checkpoints().release([{ consumer: "orders", epoch }]);

      expect(await read()).toMatchObject({ position: 8n, ownerId: null });
    });

    it("leaves alone what somebody else has taken over", async () => {
      const { epoch } = await ownedByA();
      const present = epochOf(await acquire());

      await checkpoints().release([{ consumer: "orders", epoch }]);

      expect(await read()).toMatchObject({ epoch: present, ownerId: workerA });
    });

    it("takes what does not exist, and an empty list, for no fault", async () => {
      await checkpoints().release([]);
      await checkpoints().release([{ consumer: "never-heard-of", epoch: 1 }]);
    });

    it("does not make the next epoch a used one", async () => {
      const { epoch } = await ownedByA();
      await checkpoints().release([{ consumer: "orders", epoch }]);

      expect(epochOf(await acquire())).toBeGreaterThan(epoch);
    });
  });
}

function epochOf(result: AcquireResult): number {
  if (result.outcome !== "acquired") throw new Error(`Expected to acquire the consumer, got "${result.outcome}".`);
  return result.epoch;
}
