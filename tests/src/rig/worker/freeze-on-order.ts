import { setTimeout as sleep } from "node:timers/promises";
import type { RigStore } from "./without-protection.ts";

/** Time for a signal to reach all threads, in milliseconds. */
const SIGNAL_MS = 20;

/**
 * A store that stops its own process at the worst moment: when a page has been read and its batch is about to begin.
 *
 * @param tell - resolves when the rig has been told up to which position the batch goes
 */
export function freezeOnOrder(
  store: RigStore,
  tell: (batch: { readonly consumer: string; readonly to: bigint }) => Promise<void>,
): { readonly store: RigStore; order(consumer: string | null): void } {
  let wanted: string | null = null;
  return {
    order(consumer) {
      wanted = consumer;
    },
    store: {
      ...store,
      async runBatch(batch, work) {
        if (batch.consumer === wanted) {
          wanted = null;
          await tell(batch);
          process.kill(process.pid, "SIGSTOP");
          // The timer is over long before the process goes on.
          await sleep(SIGNAL_MS);
        }
        return store.runBatch(batch, work);
      },
    },
  };
}
