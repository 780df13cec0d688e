import type { ExpectedVersion, NewEvent } from "@pup/core";
import { resolveExpectedVersion } from "@pup/core";
import type { QueuedAppend } from "../events/append-group.ts";
import { toAppendInput } from "../events/append-input.ts";

export interface QueuedAppendFields {
  readonly aggregateId?: string;
  readonly expectedVersion?: ExpectedVersion;
  /** How many events. */
  readonly count?: number;
  readonly ids?: readonly string[];
  readonly payload?: unknown;
}

/** An append as the lanes queue it, and what becomes of it. */
export function queuedAppend(fields: QueuedAppendFields = {}): QueuedAppend & { readonly outcome: Promise<unknown> } {
  const { aggregateId = "order-1", expectedVersion = "any", ids = [], count = ids.length || 1, payload = {} } = fields;
  const events = Array.from({ length: count }, (_, index): NewEvent => {
    const id = ids[index];
    return { aggregateType: "Order", aggregateId, type: "OrderPlaced", payload, ...(id !== undefined && { id }) };
  });
  const settled = Promise.withResolvers<unknown>();
  return {
    request: { input: toAppendInput(events), expectedVersion, inCallersTransaction: false },
    expected: resolveExpectedVersion(expectedVersion),
    key: `Order\0${aggregateId}`,
    queuedAt: performance.now(),
    resolve: settled.resolve,
    // As a value, so that nobody need be listening.
    reject: settled.resolve,
    isGone: false,
    outcome: settled.promise,
  };
}
