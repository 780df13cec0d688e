import type { EventScope, GlobalPosition, NewEvent, RecordedEvent } from "@pup/core";
import { sampleEvents } from "../sample-events.ts";
import type { HeldTransaction, StoreSetup } from "../store-setup.ts";

const MANY_BYTES = 8 * 1024 * 1024;

/** What the cases do most. */
export interface LogActions<Tx> {
  append(aggregateId: string, count?: number, event?: Partial<NewEvent>): Promise<readonly RecordedEvent[]>;
  /** Leaves a hole in the log, as a rolled-back append does. Gives the positions lost. */
  appendAndRollBack(count?: number): Promise<readonly bigint[]>;
  /** An append that has drawn its positions and has not committed. */
  appendAndHold(
    aggregateId?: string,
    count?: number,
  ): Promise<HeldTransaction<Tx> & { readonly positions: readonly bigint[] }>;
  read(
    after: GlobalPosition,
    upTo: GlobalPosition,
    options?: { readonly limit?: number; readonly maxBytes?: number; readonly scope?: EventScope },
  ): Promise<PageRead>;
}

/** What a page holds. */
export interface PageRead {
  readonly events: readonly RecordedEvent[];
  readonly through: GlobalPosition;
}

/** Binds the actions to the store of the running test. */
export function logActions<Tx>(setup: () => StoreSetup<Tx>): LogActions<Tx> {
  const appendAndHold: LogActions<Tx>["appendAndHold"] = async (aggregateId = "held", count = 1) => {
    const held = await setup().begin();
    const { events } = await setup().store.append(sampleEvents(count, { aggregateId }), { tx: held.tx });
    return { ...held, positions: positionsOf(events) };
  };
  return {
    append: async (aggregateId, count = 1, event = {}) =>
      (await setup().store.append(sampleEvents(count, { aggregateId, ...event }))).events,
    appendAndHold,
    async appendAndRollBack(count = 1) {
      const { positions, rollback } = await appendAndHold("rolled-back", count);
      await rollback();
      return positions;
    },
    async read(after, upTo, { limit = 100, maxBytes = MANY_BYTES, scope } = {}) {
      const page = await setup().store.readLog({ after, upTo, limit, maxBytes, scope });
      return { events: await page.events(), through: page.through };
    },
  };
}

export function positionsOf(events: readonly RecordedEvent[]): bigint[] {
  return events.map(({ globalPosition }) => globalPosition);
}

/** Position of the last of some events; 0 when there is none. */
export function last(events: readonly RecordedEvent[]): bigint {
  return events.at(-1)?.globalPosition ?? 0n;
}
