import type { NewEvent } from "@pup/core";
import { createPgStore, type PgStore, type PgStoreOptions } from "@pup/store-pg";
import { AGGREGATE_TYPE, COMMON_TYPE, type OrderAppend } from "../../workload/orders.ts";

/** Each append a transaction of its own, where a store would otherwise put appends of several callers into one. */
export const eachItsOwn: object = { groupAppends: false };

/** A store whose single statements have so many connections. */
export function openStore(url: string, connections: number, options: Partial<PgStoreOptions> = {}): PgStore {
  return createPgStore({ connection: url, max: connections + 1, maxTransactions: 1, ...options });
}

export function toNewEvents({ orderId, payloads }: OrderAppend): readonly NewEvent[] {
  return payloads.map((payload) => ({
    aggregateType: AGGREGATE_TYPE,
    aggregateId: orderId,
    type: COMMON_TYPE,
    payload,
  }));
}
