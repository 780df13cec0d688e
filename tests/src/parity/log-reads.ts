import type { LogPage } from "@pup/core";
import fc from "fast-check";
import { anyAggregate } from "./appends.ts";
import { anySlot } from "./held-transactions.ts";
import { type Operation, operation, show } from "./operation.ts";
import type { World } from "./world.ts";

const anyPosition = fc.bigInt(0n, 12n);
const anyTypes = (...names: string[]) => fc.option(fc.subarray(names), { nil: undefined });

function reading(what: string, run: Operation["run"], slot: number | null = null): Operation {
  return operation(what, run, { slot, besideWaiting: true });
}

// How many bytes an event takes is each store's own matter; that the first one always fits is not.
const anyBytes = fc.constantFrom(1, 2 ** 30);

/** Reads one aggregate, in a transaction or not, with ranges that make sense and others. */
const readStream = fc
  .record({
    aggregate: anyAggregate,
    slot: fc.option(anySlot),
    range: fc.record(
      { fromVersion: fc.constantFrom(0, 1, 2, 3, -1), toVersion: fc.constantFrom(0, 1, 2, 5, 1.5) },
      { requiredKeys: [] },
    ),
  })
  .map(({ aggregate, slot, range }) =>
    reading(
      `readStream ${show({ ...aggregate, ...range })}${slot === null ? "" : ` in ${slot}`}`,
      async <Tx>({ store, slots }: World<Tx>) => {
        const tx = slot === null ? undefined : (slots[slot]?.tx ?? undefined);
        return await store.readStream(aggregate, range, tx === undefined ? {} : { tx });
      },
      slot,
    ),
  );

const readLog = fc
  .record({
    after: anyPosition,
    upTo: anyPosition,
    limit: fc.integer({ min: 1, max: 4 }),
    maxBytes: anyBytes,
    scope: fc.option(
      fc.record({ aggregateTypes: anyTypes("Order", "Invoice"), eventTypes: anyTypes("Placed", "Shipped") }),
      {
        nil: undefined,
      },
    ),
  })
  .map((request) => reading(`readLog ${show(request)}`, async ({ store }) => pageOf(await store.readLog(request))));

const scanPositions = fc
  .tuple(
    anyPosition,
    fc.option(fc.record({ limit: fc.integer({ min: 1, max: 4 }), maxBytes: anyBytes }), { nil: undefined }),
  )
  .map(([after, bring]) =>
    reading(`scanPositions ${after} ${show(bring)}`, async ({ store }) => {
      const { serverRun: _, page, ...scan } = await store.scanPositions(after, bring);
      return { ...scan, page: page && (await pageOf(page)) };
    }),
  );

const inFlight = fc.constant(
  reading("inFlightAppenders", async ({ store }) => {
    const { appenders, recovering } = await store.inFlightAppenders();
    return { recovering, appenders: appenders.map(({ prepared }) => ({ prepared })) };
  }),
);

/** Reads of the log. */
export const logReads: fc.Arbitrary<Operation> = fc.oneof(
  { weight: 3, arbitrary: readStream },
  { weight: 3, arbitrary: readLog },
  scanPositions,
  inFlight,
  fc
    .tuple(anyPosition, anyPosition)
    .map(([after, upTo]) =>
      reading(`missingPositions ${after} ${upTo}`, async ({ store }) => await store.missingPositions(after, upTo)),
    ),
  fc.constant(reading("latestPosition", async ({ store }) => await store.latestPosition())),
);

/** What a page says of itself, but for bytes: how many an event takes is each store's own matter. */
async function pageOf(page: LogPage) {
  const { positions, through } = page;
  return { positions, through, events: await page.events() };
}

/** Everything that can be read of the log. */
export const wholeLog = reading("the log", async ({ store }) => {
  const latest = await store.latestPosition();
  const { appenders } = await store.inFlightAppenders();
  return {
    page: await pageOf(await store.readLog({ after: 0n, upTo: latest, limit: 1_000, maxBytes: 2 ** 30 })),
    holes: await store.missingPositions(0n, latest),
    inFlight: appenders.length,
  };
});
