import type { PgStore } from "@pup/store-pg";
import { createChance } from "../chance.ts";
import { markedTypes } from "../consumers.ts";
import type { OpenAccount } from "./account.ts";

/** Part of the seed that markers are drawn from. */
const MARKERS = 2_000;

/** Makes what appends one event to each scope, without trying again, and answers with the position of the first. */
export function createMarker(store: Pick<PgStore, "append">, account: OpenAccount, seed: number) {
  const chance = createChance(seed, MARKERS);
  return async ({ wake = true } = {}): Promise<bigint> => {
    let first: bigint | undefined;
    for (const aggregateType of markedTypes) {
      const marker = { id: chance.uuid(), aggregateType, aggregateId: "marker", type: "Marker", payload: {} };
      // Until there is an answer: the server may be away.
      account.loseSight([marker]);
      const result = await store.append([marker], { wake });
      account.acknowledge([result]);
      first ??= result.events[0]?.globalPosition;
    }
    return first as bigint;
  };
}
