import { inFlightCases } from "./event-log/in-flight-cases.ts";
import { positionCases } from "./event-log/position-cases.ts";
import { readLogCases } from "./event-log/read-log-cases.ts";
import { openForEach } from "./open-for-each.ts";
import type { StoreSetup } from "./store-setup.ts";

/**
 * What every `EventLog` promises. Call it inside of a `describe`.
 *
 * @param open - gives each test a store without events
 */
export function eventLogContract<Tx>(open: () => Promise<StoreSetup<Tx>>): void {
  const setup = openForEach(open);

  readLogCases(setup);
  positionCases(setup);
  inFlightCases(setup);
}
