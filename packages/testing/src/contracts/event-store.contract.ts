import { appendCases } from "./event-store/append-cases.ts";
import { badEventCases } from "./event-store/bad-event-cases.ts";
import { callerTransactionCases } from "./event-store/caller-transaction-cases.ts";
import { payloadCases } from "./event-store/payload-cases.ts";
import { readStreamCases } from "./event-store/read-stream-cases.ts";
import { repeatedAppendCases } from "./event-store/repeated-append-cases.ts";
import { openForEach } from "./open-for-each.ts";
import type { StoreSetup } from "./store-setup.ts";

/**
 * What every `EventStore` promises. Call it inside of a `describe`.
 *
 * @param open - gives each test a store without events
 */
export function eventStoreContract<Tx>(open: () => Promise<StoreSetup<Tx>>): void {
  const setup = openForEach(open);

  appendCases(setup);
  badEventCases(setup);
  repeatedAppendCases(setup);
  callerTransactionCases(setup);
  payloadCases(setup);
  readStreamCases(setup);
}
