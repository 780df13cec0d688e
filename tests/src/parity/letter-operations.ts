import type { DeadLetterFailure, NewDeadLetter, RecordedEvent } from "@pup/core";
import fc from "fast-check";
import { anyAggregate } from "./appends.ts";
import { anySlot, end, open } from "./held-transactions.ts";
import { idOf, type Operation, operation, show } from "./operation.ts";
import { consumers } from "./world.ts";

const anyConsumer = fc.constantFrom(...consumers);
const anyPosition = fc.bigInt(1n, 6n);
const anyFailure: fc.Arbitrary<DeadLetterFailure> = fc.record({
  message: fc.constantFrom("failed", "with \0", "with \ud800", ""),
  stack: fc.constantFrom(null, "at a.ts", "at \0"),
});
const anyLetter: fc.Arbitrary<NewDeadLetter> = fc
  .tuple(anyPosition, fc.boolean(), fc.option(fc.tuple(anyFailure, fc.integer({ min: 1, max: 3 })), { freq: 2 }))
  .map(([position, parked, failed]) => ({
    event: eventAt(position),
    parked,
    failure: failed && { ...failed[0], attempts: failed[1], firstFailedAgoMs: 5 },
  }));
const anySelection = fc.record(
  {
    consumer: anyConsumer,
    positions: fc.uniqueArray(anyPosition, { maxLength: 2 }),
    aggregate: anyAggregate,
  },
  { requiredKeys: ["consumer"] },
);

/** An event that need not be in the log: letters keep what they are told. */
function eventAt(position: bigint): RecordedEvent {
  return {
    globalPosition: position,
    id: idOf(Number(position)),
    aggregateType: "Order",
    aggregateId: `order-${position % 2n}`,
    aggregateVersion: Number(position),
    type: "Placed",
    version: 1,
    payload: null,
    metadata: null,
    traceId: null,
    correlationId: null,
    causationId: null,
    createdAt: new Date(0),
  };
}

function put(slot: number, letters: readonly NewDeadLetter[]): Operation {
  const facts = letters.map(({ event, ...letter }) => ({ position: event.globalPosition, ...letter }));
  return operation(
    `put letters in ${slot}: ${show(facts)}`,
    async ({ slots }) => await slots[slot]?.letters?.put(letters),
    { slot },
  );
}

/** Begins with an aggregate of which two failed and one waits, one of which one failed and one waits, and a letter that was skipped. */
export const someLetters: readonly Operation[] = [
  open(0, { consumer: consumers[0] as string, epoch: 1, from: 0n, to: 2n }),
  put(
    0,
    ([1n, 2n, 3n, 4n, 5n, 6n] as const).map((position) => ({
      event: eventAt(position),
      parked: position < 6n,
      failure: [1n, 2n, 3n, 6n].includes(position)
        ? { message: "failed", stack: null, attempts: 1, firstFailedAgoMs: 5 }
        : null,
    })),
  ),
  end(0, "commit"),
  open(0, { consumer: consumers[0] as string, epoch: 1, from: 2n, to: 4n }),
];

/** What a batch does with letters; nothing in a transaction that is none. */
const inBatch: fc.Arbitrary<Operation> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc
      .tuple(anySlot, fc.uniqueArray(anyLetter, { selector: ({ event }) => event.globalPosition, maxLength: 3 }))
      .map(([slot, letters]) => put(slot, letters)),
  },
  fc
    .tuple(anySlot, anyPosition)
    .map(([slot, position]) =>
      operation(
        `resolve letter ${position} in ${slot}`,
        async ({ slots }) => await slots[slot]?.letters?.resolve(position),
        { slot },
      ),
    ),
  fc
    .tuple(anySlot, anyPosition, anyFailure)
    .map(([slot, position, failure]) =>
      operation(
        `fail letter ${position} in ${slot}: ${show(failure)}`,
        async ({ slots }) => await slots[slot]?.letters?.fail(position, failure),
        { slot },
      ),
    ),
  fc
    .tuple(anySlot, fc.array(anyAggregate, { maxLength: 3 }))
    .map(([slot, aggregates]) =>
      operation(
        `parkedAmong in ${slot}: ${show(aggregates)}`,
        async ({ slots }) =>
          (await slots[slot]?.letters?.parkedAmong(aggregates))
            ?.map((each) => `${each.aggregateType} ${each.aggregateId}`)
            .toSorted() ?? null,
        { slot },
      ),
    ),
);

/** Dead letters: written by batches, listed, retried and discarded by people. */
export const letterOperations: fc.Arbitrary<Operation> = fc.oneof(
  { weight: 3, arbitrary: inBatch },
  fc
    .record(
      {
        consumer: anyConsumer,
        aggregate: anyAggregate,
        after: fc.record({ consumer: anyConsumer, position: anyPosition }),
        limit: fc.constantFrom(1, 2, 0, 20_000),
      },
      { requiredKeys: [] },
    )
    .map((query) =>
      operation(`listDeadLetters ${show(query)}`, async ({ store }) => await store.listDeadLetters(query), {
        besideWaiting: true,
      }),
    ),
  anySelection.map((selection) =>
    operation(`retryDeadLetters ${show(selection)}`, async ({ store }) => await store.retryDeadLetters(selection)),
  ),
  anySelection.map((selection) =>
    operation(`discardDeadLetters ${show(selection)}`, async ({ store }) => await store.discardDeadLetters(selection)),
  ),
  anyConsumer.map((consumer) =>
    operation(
      `look for letters of ${consumer}`,
      async ({ store }) => ({
        ...(await store.lookForDeadLetters(consumer)),
        next: await store.nextDueDeadLetter(consumer),
      }),
      { besideWaiting: true },
    ),
  ),
);

/** Everything that can be read of letters. */
export const allLetters = operation("all letters", async ({ store }) => await store.listDeadLetters(), {
  besideWaiting: true,
});
