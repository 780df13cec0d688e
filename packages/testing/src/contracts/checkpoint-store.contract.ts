import { acquirableCases } from "./checkpoint-store/acquirable-cases.ts";
import { acquireCases } from "./checkpoint-store/acquire-cases.ts";
import { saveCases } from "./checkpoint-store/save-cases.ts";
import { openForEach } from "./open-for-each.ts";
import type { StoreSetup } from "./store-setup.ts";

/**
 * What every `CheckpointStore` promises. Call it inside of a `describe`.
 *
 * @param open - gives each test a store without checkpoints and workers
 */
export function checkpointStoreContract<Tx>(open: () => Promise<StoreSetup<Tx>>): void {
  const setup = openForEach(open);

  saveCases(setup);
  acquireCases(setup);
  acquirableCases(setup);
}
