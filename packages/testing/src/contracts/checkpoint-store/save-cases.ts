import type { CheckpointAdvance } from "@pup/core";
import { describe, expect, it } from "vitest";
import { range } from "../sample-events.ts";
import type { StoreSetup } from "../store-setup.ts";
import { workerA } from "../workers.ts";
import { checkpointActions, epochOf, LONG_MS } from "./checkpoint-actions.ts";

/** How checkpoints begin, move and are handed back. */
export function saveCases<Tx>(setup: () => StoreSetup<Tx>): void {
  const { acquire, read, ownedByA, beginBatch } = checkpointActions(setup);
  const checkpoints = () => setup().store;

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

    it("does not wait for a batch that holds one that exists already", async () => {
      const { epoch } = await ownedByA();
      const batch = await beginBatch(epoch);
      try {
        await checkpoints().createCheckpoint("orders", 99n);
      } finally {
        batch.finish();
      }

      expect(await batch.outcome).toBeUndefined();
      expect((await read())?.position).toBe(9n);
    });

    it.each(["", "nul \0", "x".repeat(256), "ż".repeat(128)])(
      "refuses a name that cannot be kept: %j",
      async (name) => {
        await expect(checkpoints().createCheckpoint(name, 1n)).rejects.toMatchObject({ code: "PUP_INVALID_OPTION" });
      },
    );

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

    it("does not wait for a batch of somebody else who has taken over", async () => {
      const { epoch } = await ownedByA();
      const present = epochOf(await acquire());
      const batch = await beginBatch(present);
      try {
        await checkpoints().release([{ consumer: "orders", epoch }]);
      } finally {
        batch.finish();
      }

      expect(await batch.outcome).toBeUndefined();
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
