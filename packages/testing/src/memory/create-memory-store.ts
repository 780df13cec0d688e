import { systemClock, systemRandomness } from "@pup/core";
import { connect } from "./connect.ts";
import { createDatabase } from "./database.ts";
import type { MemoryStore, MemoryStoreOptions } from "./memory-store.ts";

const DEFAULT_LEASE_MS = 10_000;

/**
 * Creates a store in memory that behaves as PostgreSQL does where it matters to a worker: positions are drawn before the commit,
 * rows stay locked until the transaction ends, what was rolled back leaves holes. For tests; nothing is written anywhere.
 *
 * @example
 * ```ts
 * const store = createMemoryStore();
 * await store.append([{ aggregateType: "Order", aggregateId: "o-1", type: "OrderPlaced", payload: { total: 12 } }]);
 * ```
 */
export function createMemoryStore({
  clock = systemClock,
  random = systemRandomness,
  startTime = new Date(),
  sessionLocks = true,
  leaseDurationMs = DEFAULT_LEASE_MS,
  beforeOperation,
}: MemoryStoreOptions = {}): MemoryStore {
  const epochMs = startTime.getTime() - (clock === systemClock ? clock.now() : 0);
  return connect(createDatabase({ clock, random, epochMs, sessionLocks, leaseDurationMs }), {
    beforeOperation,
    applicationName: "memory",
  });
}
