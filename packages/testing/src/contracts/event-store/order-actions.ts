import type { AppendOptions, AppendResult, NewEvent, RecordedEvent } from "@pup/core";
import type { StoreSetup } from "../store-setup.ts";

/** The aggregate that the cases append to, unless they say otherwise. */
export const order = { aggregateType: "Order", aggregateId: "order-1" };

/** What the cases do most. */
export interface OrderActions<Tx> {
  append(events: readonly NewEvent[], options?: AppendOptions<Tx>): Promise<AppendResult>;
  /** The order's events, as another transaction sees them. */
  readOrder(): Promise<readonly RecordedEvent[]>;
}

/** Binds the actions to the store of the running test. */
export function orderActions<Tx>(setup: () => StoreSetup<Tx>): OrderActions<Tx> {
  return {
    append: (events, options) => setup().store.append(events, options),
    readOrder: async () => (await setup().store.readStream(order)).events,
  };
}

/** A UUID for each number. */
export function idOf(number: number): string {
  return `0190a000-0000-7000-8000-${String(number).padStart(12, "0")}`;
}
