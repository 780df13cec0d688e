import type { ControlSession, WorkerStore } from "@pup/core";
import type { MemoryTransaction } from "@pup/testing";

/** A control session that can be cut off from the server's side: nothing is said in good order then. */
export interface CuttableSession extends ControlSession {
  kill(): void;
}

/** What a worker's connection leads to. */
export interface Server extends WorkerStore<MemoryTransaction> {
  openControlSession(options?: { readonly signal?: AbortSignal }): Promise<CuttableSession>;
}
