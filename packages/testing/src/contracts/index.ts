export { batchRunnerContract } from "./batch-runner.contract.ts";
export { checkpointStoreContract } from "./checkpoint-store.contract.ts";
export { coordinationContract } from "./coordination.contract.ts";
export { deadLettersContract } from "./dead-letters.contract.ts";
export { type DispatcherSetup, dispatcherContract } from "./dispatcher.contract.ts";
export { eventLogContract } from "./event-log.contract.ts";
export { eventStoreContract } from "./event-store.contract.ts";
export type { HeldTransaction, StoreSetup } from "./store-setup.ts";
