import type { WorkerStore } from "@pup/core";
import type { PgStore, PgTransaction } from "@pup/store-pg";
import type { RigTables } from "../consumers.ts";
import type { Protection } from "../protections.ts";

/** The part of a store that workers use. */
export type RigStore = WorkerStore<PgTransaction<RigTables>>;

/**
 * Behind the epoch there is a second protection: a checkpoint that stands further than its owner has come is refused. It has to go
 * with the first one, or it hides that.
 */
const BEYOND_ALL_POSITIONS = 2n ** 62n;

/** The store, without what protects it. What else belongs to a missing protection stands with the database and the dispatcher. */
export function withoutProtection(store: PgStore<RigTables>, broken: Protection | null): RigStore {
  switch (broken) {
    case "settled":
      return {
        ...store,
        async scanPositions(after) {
          const { serverRun, recovering } = await store.scanPositions(after);
          const highest = await store.latestPosition();
          return { contiguous: highest, hole: false, highest, serverRun, recovering };
        },
        inFlightAppenders: async () => ({ ...(await store.inFlightAppenders()), appenders: [] }),
      };
    case "fence":
      return {
        ...store,
        runBatch: (batch, work) =>
          insist(store, async () => {
            const [present] = await store.readCheckpoints([batch.consumer]);
            const { epoch = batch.epoch } = present ?? {};
            await store.runBatch({ ...batch, epoch, from: BEYOND_ALL_POSITIONS }, work);
          }),
      };
    case "epoch":
      return {
        ...store,
        runBatch: (batch, work) => insist(store, () => store.runBatch({ ...batch, from: BEYOND_ALL_POSITIONS }, work)),
      };
    case "notify-reconcile":
    case null:
      return store;
  }
}

const ATTEMPTS = 5;

/**
 * Tries again when a session is lost: while its process was frozen, others may have ended one that was in the middle of something.
 * Without a protection, the harm has to be done every time, not most of the time.
 */
async function insist(store: Pick<RigStore, "isTransient">, work: () => Promise<void>): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await work();
    } catch (error) {
      if (attempt === ATTEMPTS || !store.isTransient(error)) throw error;
    }
  }
}
