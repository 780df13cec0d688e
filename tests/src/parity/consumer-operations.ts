import fc from "fast-check";
import { type Operation, operation, show } from "./operation.ts";
import { consumers, workers } from "./world.ts";

const anyConsumer = fc.constantFrom(...consumers);
const anyPosition = fc.bigInt(0n, 6n);
const anyEpoch = fc.nat(3);
const claim = {
  workerId: fc.constantFrom(...workers),
  claim: fc.constantFrom("assigned" as const, "assigned" as const, "unowned" as const),
  // Over at once, or never in a test's time.
  graceMs: fc.constantFrom(0, 1_000_000),
  heartbeatTimeoutMs: fc.constant(1_000_000),
};

function byName<Item extends { readonly consumer: string }>(items: readonly Item[]): readonly Item[] {
  return items.toSorted((a, b) => (a.consumer < b.consumer ? -1 : 1));
}

const assign = fc
  .dictionary(anyConsumer, fc.constantFrom(...workers.slice(0, 2)), { maxKeys: 2 })
  .map((given) =>
    operation(
      `assign ${show(given)}`,
      async ({ session, leadership }) =>
        await session.assign(leadership, { assignments: new Map(Object.entries(given)), dead: [] }),
    ),
  );

const acquire = fc
  .record({ ...claim, consumer: anyConsumer, batchTimeoutMs: fc.constant(1_000_000) })
  .map((request) =>
    operation(`acquire ${show(request)}`, async ({ store }) => await store.acquire(request), { limited: true }),
  );

const advance = fc
  .uniqueArray(fc.record({ consumer: anyConsumer, epoch: anyEpoch, position: anyPosition }), {
    selector: ({ consumer }) => consumer,
    maxLength: 2,
  })
  .map((advances) =>
    operation(`advance ${show(advances)}`, async ({ store }) => (await store.advance(advances)).toSorted()),
  );

const release = fc
  .uniqueArray(fc.record({ consumer: anyConsumer, epoch: anyEpoch }), {
    selector: ({ consumer }) => consumer,
    maxLength: 2,
  })
  .map((owned) => operation(`release ${show(owned)}`, async ({ store }) => await store.release(owned)));

/** What everybody sees of the checkpoints. */
export const readCheckpoints = operation(
  "readCheckpoints",
  async ({ store }) => ({
    checkpoints: byName(await store.readCheckpoints(consumers)),
    greatest: await store.greatestCheckpoint(),
  }),
  { besideWaiting: true },
);

/** Checkpoints: made, dealt out, taken over, moved and handed back. */
export const consumerOperations: fc.Arbitrary<Operation> = fc.oneof(
  fc
    .tuple(
      fc.oneof(
        { weight: 8, arbitrary: anyConsumer },
        { weight: 1, arbitrary: fc.constantFrom("", "\0", "x".repeat(256)) },
      ),
      anyPosition,
    )
    .map(([consumer, position]) =>
      operation(
        `createCheckpoint ${show(consumer)} ${position}`,
        async ({ store }) => await store.createCheckpoint(consumer, position),
      ),
    ),
  assign,
  { weight: 3, arbitrary: acquire },
  fc.record({ ...claim, consumers: fc.subarray(consumers) }).map((request) =>
    operation(`acquirable ${show(request)}`, async ({ store }) => (await store.acquirable(request)).toSorted(), {
      besideWaiting: true,
    }),
  ),
  advance,
  release,
  fc.constant(readCheckpoints),
);

/** Begins with both consumers taken over, under their first epochs. */
export const owned: readonly Operation[] = [
  ...consumers.map((consumer) =>
    operation(`createCheckpoint ${consumer}`, async ({ store }) => await store.createCheckpoint(consumer, 0n)),
  ),
  operation(
    "assign all",
    async ({ session, leadership }) =>
      await session.assign(leadership, {
        assignments: new Map(consumers.map((consumer) => [consumer, workers[0] as string])),
        dead: [],
      }),
  ),
  ...consumers.map((consumer) =>
    operation(
      `acquire ${consumer}`,
      async ({ store }) =>
        await store.acquire({
          consumer,
          workerId: workers[0] as string,
          claim: "assigned",
          graceMs: 0,
          heartbeatTimeoutMs: 1_000_000,
          batchTimeoutMs: 1_000_000,
        }),
    ),
  ),
];
