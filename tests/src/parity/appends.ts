import type { ExpectedVersion, NewEvent } from "@pup/core";
import fc from "fast-check";
import { anySlot } from "./held-transactions.ts";
import { idOf, type Operation, operation, show } from "./operation.ts";
import type { World } from "./world.ts";

export const anyAggregate = fc.record({
  aggregateType: fc.constantFrom("Order", "Invoice"),
  aggregateId: fc.constantFrom("order-0", "order-1"),
});

/** What JSON changes, cannot carry, or PostgreSQL cannot store. */
const oddPayload = fc.constantFrom<unknown>(
  undefined,
  Number.NaN,
  Number.POSITIVE_INFINITY,
  1n,
  -0,
  { nothing: undefined, zero: -0 },
  { at: new Date(0) },
  { at: new Date(Number.NaN) },
  [undefined, null],
  { list: new Array(2) },
  "\0",
  { "\0": 1 },
  "\ud800",
  { "\udc00": 1 },
  () => 1,
  Symbol("odd"),
  new Map([[1, 2]]),
  Buffer.from("bytes"),
  { toJSON: () => ({ longer: 1, b: 2 }) },
  { inner: { deep: [null, { gone: null }] } },
  { big: 2n ** 70n },
);
const anyPayload = fc.oneof(
  { weight: 3, arbitrary: fc.jsonValue({ maxDepth: 2 }) },
  { weight: 1, arbitrary: oddPayload },
);
const plainEvent = fc.record(
  {
    id: fc.nat(5).map(idOf),
    type: fc.constantFrom("Placed", "Shipped"),
    payload: fc.constantFrom<unknown>(1, { a: "ż" }),
  },
  { requiredKeys: ["type", "payload"] },
);
const anyEvent = fc.record(
  {
    id: fc.oneof(fc.nat(5).map(idOf), fc.constantFrom(idOf(0).toUpperCase(), "no uuid")),
    type: fc.constantFrom("Placed", "Shipped", ""),
    version: fc.constantFrom(1, 2, 0),
    payload: anyPayload,
    metadata: fc.oneof(
      fc.constant(null),
      fc.dictionary(fc.string({ maxLength: 3, unit: "binary" }), anyPayload, { maxKeys: 2 }),
    ),
    traceId: fc.constantFrom(null, "trace", "\0"),
  },
  { requiredKeys: ["type", "payload"] },
);
type EventOfAnyAggregate = Omit<NewEvent, "aggregateType" | "aggregateId">;
const someEvents: fc.Arbitrary<EventOfAnyAggregate[]> = fc.array(
  fc.oneof({ weight: 6, arbitrary: plainEvent }, { weight: 1, arbitrary: anyEvent }),
  { minLength: 1, maxLength: 3 },
);
const anyEvents = fc.oneof(
  { weight: 12, arbitrary: someEvents },
  { weight: 1, arbitrary: fc.constant<EventOfAnyAggregate[]>([]) },
);
const anyExpectedVersion: fc.Arbitrary<ExpectedVersion> = fc.oneof(
  { weight: 4, arbitrary: fc.constant("any" as const) },
  { weight: 2, arbitrary: fc.constant("no-stream" as const) },
  { weight: 3, arbitrary: fc.nat(4) },
  { weight: 1, arbitrary: fc.constantFrom<ExpectedVersion>(-1, 1.5, "head" as never) },
);

/** Appends of all kinds: plain, repeated, partly repeated, mixed, bad; each by itself or in a held transaction. */
export const appends: fc.Arbitrary<Operation> = fc
  .record({
    slot: fc.option(anySlot, { freq: 2 }),
    aggregates: fc.oneof(
      { weight: 12, arbitrary: fc.tuple(anyAggregate) },
      { weight: 1, arbitrary: fc.tuple(anyAggregate, anyAggregate) },
    ),
    events: anyEvents,
    expectedVersion: anyExpectedVersion,
  })
  .map(({ slot, aggregates, events, expectedVersion }) => {
    const given = events.map((event, index) => ({ ...(aggregates[index] ?? aggregates[0]), ...event }) as NewEvent);
    const where = slot === null ? "" : ` in ${slot}`;
    return operation(
      `append${where}, expecting ${String(expectedVersion)}: ${show(given)}`,
      async <Tx>({ store, slots }: World<Tx>) => {
        const tx = slot === null ? undefined : (slots[slot]?.tx ?? undefined);
        return await store.append(given, { expectedVersion, ...(tx !== undefined && { tx }) });
      },
      { slot },
    );
  });
