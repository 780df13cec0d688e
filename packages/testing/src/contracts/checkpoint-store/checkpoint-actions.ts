import type { AcquireRequest, AcquireResult, Checkpoint, ControlSession } from "@pup/core";
import type { StoreSetup } from "../store-setup.ts";
import { assignTo, workerA, workerB } from "../workers.ts";

/** Longer than any test. */
export const LONG_MS = 60_000;

/** What the cases do most. */
export interface CheckpointActions {
  /** Worker A asks for "orders", unless told otherwise. */
  acquire(request?: Partial<AcquireRequest>): Promise<AcquireResult>;
  read(consumer?: string): Promise<Checkpoint | undefined>;
  /** Both workers are registered, and worker A owns "orders" from now on. */
  ownedByA(): Promise<{ readonly session: ControlSession; readonly epoch: number }>;
  /** Worker A has begun a batch, in another process than the one that asks. */
  beginBatch(epoch: number): Promise<{ readonly outcome: Promise<unknown>; finish(): void }>;
}

/** Binds the actions to the store of the running test. */
export function checkpointActions<Tx>(setup: () => StoreSetup<Tx>): CheckpointActions {
  const acquire: CheckpointActions["acquire"] = (request = {}) =>
    setup().store.acquire({
      consumer: "orders",
      workerId: workerA,
      claim: "assigned",
      graceMs: LONG_MS,
      batchTimeoutMs: LONG_MS,
      heartbeatTimeoutMs: LONG_MS,
      ...request,
    });

  return {
    acquire,
    read: async (consumer = "orders") => (await setup().store.readCheckpoints([consumer]))[0],

    async ownedByA() {
      await setup().store.createCheckpoint("orders", 0n);
      const session = await setup().store.openControlSession();
      await session.register({ workerId: workerA, consumers: ["orders"] });
      await session.register({ workerId: workerB, consumers: ["orders"] });
      await assignTo(session, { orders: workerA });
      return { session, epoch: epochOf(await acquire()) };
    },

    async beginBatch(epoch) {
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
    },
  };
}

export function epochOf(result: AcquireResult): number {
  if (result.outcome !== "acquired") throw new Error(`Expected to acquire the consumer, got "${result.outcome}".`);
  return result.epoch;
}
