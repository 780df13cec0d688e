import { setImmediate as nextTurn } from "node:timers/promises";
import type { Batch } from "@pup/core";
import { describe, expect, it } from "vitest";
import { openForEach } from "./open-for-each.ts";
import { ownConsumer } from "./own-consumer.ts";
import { range, sampleEvent } from "./sample-events.ts";
import type { StoreSetup } from "./store-setup.ts";
import { workerA } from "./workers.ts";

const LONG_MS = 60_000;

/**
 * What every `BatchRunner` promises. Call it inside of a `describe`. The effects whose fate it follows are appends made through
 * the batch's transaction.
 *
 * @param open - gives each test a store without events and checkpoints
 */
export function batchRunnerContract<Tx>(open: () => Promise<StoreSetup<Tx>>): void {
  const setup = openForEach(open);

  /** Takes a consumer over; gives the batch that comes next. */
  const own = async (consumer = "orders", batch: Partial<Batch> = {}): Promise<Batch> => ({
    ...(await ownConsumer(setup().store, consumer)),
    to: 10n,
    ...batch,
  });

  const effect = async (tx: Tx, aggregateId = "effect") => {
    await setup().store.append([sampleEvent({ aggregateId })], { tx, wake: false });
  };
  const effects = async (aggregateId = "effect") =>
    (await setup().other.readStream({ aggregateType: "Order", aggregateId })).length;
  const position = async (consumer = "orders") => (await setup().other.readCheckpoints([consumer]))[0]?.position;

  const neverSettles = () => new Promise<void>(() => undefined);

  /** The fate of a call, known without waiting for it. */
  const outcomeOf = (call: Promise<unknown>) =>
    call.then(
      () => "committed" as const,
      (error: unknown) => error,
    );

  describe("runBatch", () => {
    it("commits effects and checkpoint together", async () => {
      const batch = await own();

      await setup().store.runBatch(batch, async (tx) => {
        await effect(tx);
        expect(await effects()).toBe(0);
        expect(await position()).toBe(0n);
      });

      expect(await effects()).toBe(1);
      expect(await position()).toBe(10n);
    });

    it("keeps owner and epoch as they are", async () => {
      const batch = await own();
      await setup().store.runBatch(batch, (tx) => effect(tx));

      expect(await setup().store.readCheckpoints(["orders"])).toMatchObject([{ epoch: batch.epoch, ownerId: workerA }]);
    });

    it("runs one batch after the other", async () => {
      const batch = await own();
      for (const number of range(1, 5)) {
        const [from, to] = [BigInt(number - 1) * 10n, BigInt(number) * 10n];
        await setup().store.runBatch({ ...batch, from, to }, (tx) => effect(tx));
      }

      expect(await effects()).toBe(5);
      expect(await position()).toBe(50n);
    });

    it("undoes everything when the work rejects, and rejects with the same error", async () => {
      const batch = await own();
      const error = new Error("cannot");

      const outcome = await outcomeOf(
        setup().store.runBatch(batch, async (tx) => {
          await effect(tx);
          throw error;
        }),
      );

      expect(outcome).toBe(error);
      expect(await effects()).toBe(0);
      expect(await position()).toBe(0n);
    });

    it("runs again after a failure", async () => {
      const batch = await own();
      await outcomeOf(setup().store.runBatch(batch, () => Promise.reject(new Error("cannot"))));

      await setup().store.runBatch(batch, (tx) => effect(tx));

      expect(await effects()).toBe(1);
      expect(await position()).toBe(10n);
    });

    it("runs batches of different consumers beside each other", async () => {
      const consumers = range(1, 3).map((index) => `consumer-${index}`);
      const batches = [];
      for (const consumer of consumers) batches.push(await own(consumer));
      const begun = consumers.map(() => Promise.withResolvers<void>());

      await Promise.all(
        batches.map((batch, index) =>
          setup().store.runBatch(batch, async (tx) => {
            begun[index]?.resolve();
            await Promise.all(begun.map(({ promise }) => promise));
            await effect(tx, batch.consumer);
          }),
        ),
      );

      for (const consumer of consumers) {
        expect(await effects(consumer)).toBe(1);
        expect(await position(consumer)).toBe(10n);
      }
    });

    it("saves positions that no JavaScript number could hold", async () => {
      const batch = await own("orders", { to: 2n ** 62n + 1n });
      await setup().store.runBatch(batch, (tx) => effect(tx));

      expect(await position()).toBe(2n ** 62n + 1n);
    });

    it("takes a checkpoint that was saved less far than its owner has come", async () => {
      const batch = await own("orders", { from: 5n });
      await setup().store.runBatch(batch, (tx) => effect(tx));

      expect(await position()).toBe(10n);
    });
  });

  describe("the fence of runBatch", () => {
    const refused = async (batch: Batch) => {
      let called = false;
      const outcome = await outcomeOf(
        setup().store.runBatch(batch, () => {
          called = true;
          return Promise.resolve();
        }),
      );
      expect(outcome).toMatchObject({ code: "PUP_FENCED", consumer: batch.consumer, epoch: batch.epoch });
      expect(called).toBe(false);
    };

    it("refuses an owner that has been replaced, before it does anything", async () => {
      const old = await own();
      const present = await own();

      await refused(old);

      expect(await position()).toBe(0n);
      await setup().store.runBatch(present, (tx) => effect(tx));
      expect(await position()).toBe(10n);
    });

    it("refuses an epoch that nobody was given", async () => {
      const batch = await own();

      await refused({ ...batch, epoch: batch.epoch + 1 });
    });

    it("refuses a consumer without checkpoint", async () => {
      await refused({ ...(await own()), consumer: "never-heard-of" });
    });

    it("refuses an epoch that was used twice: the checkpoint is further than its owner knows", async () => {
      const batch = await own();
      await setup().store.runBatch(batch, (tx) => effect(tx));

      await refused(batch);
      await refused({ ...batch, from: 9n, to: 20n });
    });

    it("lets one of two batches win that run at once under one epoch", async () => {
      const batch = await own();

      const outcomes = await Promise.all([
        outcomeOf(setup().store.runBatch(batch, (tx) => effect(tx))),
        outcomeOf(setup().other.runBatch(batch, (tx) => effect(tx))),
      ]);

      expect(outcomes.filter((outcome) => outcome === "committed")).toHaveLength(1);
      expect(outcomes.filter((outcome) => outcome !== "committed")).toMatchObject([{ code: "PUP_FENCED" }]);
      expect(await effects()).toBe(1);
    });
  });

  describe("the end of a batch", () => {
    it("comes when its time is over, also when the work never settles", async () => {
      const batch = await own("orders", { timeoutMs: 50 });
      const begun = Promise.withResolvers<void>();

      const running = outcomeOf(
        setup().store.runBatch(batch, async (tx) => {
          await effect(tx);
          begun.resolve();
          await neverSettles();
        }),
      );
      await begun.promise;
      await setup().elapse(60);

      expect(await running).toMatchObject({ code: "PUP_BATCH_TIMEOUT" });
      expect(await effects()).toBe(0);
      expect(await position()).toBe(0n);
    });

    it("leaves the consumer free for the next batch", async () => {
      const batch = await own("orders", { timeoutMs: 50 });
      const begun = Promise.withResolvers<void>();
      const running = outcomeOf(
        setup().store.runBatch(batch, () => {
          begun.resolve();
          return neverSettles();
        }),
      );
      await begun.promise;
      await setup().elapse(60);
      await running;

      await setup().store.runBatch({ ...batch, timeoutMs: LONG_MS }, (tx) => effect(tx));

      expect(await effects()).toBe(1);
      expect(await position()).toBe(10n);
    });

    it("comes when the signal aborts", async () => {
      const stop = new AbortController();
      const batch = await own("orders", { signal: stop.signal });

      const outcome = await outcomeOf(
        setup().store.runBatch(batch, async (tx) => {
          await effect(tx);
          stop.abort();
          await neverSettles();
        }),
      );

      expect(outcome).toBeInstanceOf(Error);
      expect(await effects()).toBe(0);
      expect(await position()).toBe(0n);
    });

    it("comes before the work when the signal had aborted already", async () => {
      const batch = await own("orders", { signal: AbortSignal.abort() });
      let called = false;

      const outcome = await outcomeOf(
        setup().store.runBatch(batch, () => {
          called = true;
          return Promise.resolve();
        }),
      );

      expect(outcome).toBeInstanceOf(Error);
      expect(called).toBe(false);
      expect(await position()).toBe(0n);
    });

    it("revokes the transaction: work that goes on after the time was over can do nothing more", async () => {
      const batch = await own("orders", { timeoutMs: 50 });
      const begun = Promise.withResolvers<void>();
      const goOn = Promise.withResolvers<void>();
      const late = Promise.withResolvers<unknown>();
      const running = outcomeOf(
        setup().store.runBatch(batch, async (tx) => {
          begun.resolve();
          await goOn.promise;
          late.resolve(await outcomeOf(effect(tx)));
        }),
      );
      await begun.promise;
      await setup().elapse(60);
      await running;

      // Another transaction may be running on the connection by now: the late effect must not end up in it.
      await setup().store.runBatch({ ...batch, timeoutMs: LONG_MS }, async () => {
        goOn.resolve();
        expect(await late.promise).toBeInstanceOf(Error);
      });

      expect(await effects()).toBe(0);
      expect(await position()).toBe(10n);
    });

    it("revokes the transaction when the work has settled", async () => {
      const batch = await own();
      let kept: Tx | undefined;
      await setup().store.runBatch(batch, async (tx) => {
        kept = tx;
        await effect(tx);
      });

      expect(await outcomeOf(effect(kept as Tx))).toBeInstanceOf(Error);
      expect(await effects()).toBe(1);
    });

    it("revokes the transaction before the checkpoint is saved: what comes late is not part of the batch", async () => {
      const batch = await own();
      let late: Promise<unknown> | undefined;
      await setup().store.runBatch(batch, async (tx) => {
        late = nextTurn().then(() => outcomeOf(effect(tx)));
      });

      expect(await late).toBeInstanceOf(Error);
      expect(await effects()).toBe(0);
    });

    it("commits nothing when the connection is lost while the work runs", async () => {
      const batch = await own();

      const outcome = await outcomeOf(
        setup().store.runBatch(batch, async (tx) => {
          await effect(tx);
          await setup().loseTransaction(tx);
          await outcomeOf(effect(tx));
        }),
      );

      expect(outcome).toBeInstanceOf(Error);
      expect(setup().store.isTransient(outcome)).toBe(true);
      expect(await effects()).toBe(0);
      expect(await position()).toBe(0n);
      await setup().store.runBatch(batch, (tx) => effect(tx));
      expect(await position()).toBe(10n);
    });

    it("comes when the connection is lost, also when the work never settles", async () => {
      const batch = await own();

      const outcome = await outcomeOf(
        setup().store.runBatch(batch, async (tx) => {
          await setup().loseTransaction(tx);
          await neverSettles();
        }),
      );

      expect(setup().store.isTransient(outcome)).toBe(true);
    });

    it("is a failure when the work ended the transaction itself", async (context) => {
      const { hijack } = setup();
      if (!hijack) return context.skip();
      const batch = await own();

      const outcome = await outcomeOf(
        setup().store.runBatch(batch, async (tx) => {
          await effect(tx);
          await hijack(tx);
        }),
      );

      expect(outcome).toMatchObject({ code: "PUP_TRANSACTION_HIJACKED" });
      expect(await position()).toBe(0n);
    });
  });

  describe("isTransient", () => {
    it("is false for a handler's own errors and for what is no error", () => {
      for (const error of [new Error("cannot"), new TypeError("x is undefined"), "text", undefined, null, 42, {}]) {
        expect(setup().store.isTransient(error)).toBe(false);
      }
    });

    it("is false for a fence and for a batch that took too long", async () => {
      const batch = await own("orders", { timeoutMs: 50 });
      const fenced = await outcomeOf(setup().store.runBatch({ ...batch, epoch: 99 }, () => Promise.resolve()));
      const begun = Promise.withResolvers<void>();
      const running = outcomeOf(
        setup().store.runBatch(batch, () => {
          begun.resolve();
          return neverSettles();
        }),
      );
      await begun.promise;
      await setup().elapse(60);

      expect(setup().store.isTransient(fenced)).toBe(false);
      expect(setup().store.isTransient(await running)).toBe(false);
    });
  });
}
