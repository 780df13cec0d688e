import type { RecordedEvent } from "@pup/core";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { boundBatch, learnFrom, moveOn, type Trouble } from "./trouble.ts";

const event = (position: number) => ({ globalPosition: BigInt(position) }) as RecordedEvent;
const events = (first: number, last: number) =>
  Array.from({ length: last - first + 1 }, (_, index) => event(first + index));

const failed = (
  list: readonly RecordedEvent[],
  at: number | null,
  more: { timedOut?: boolean; now?: number } = {},
) => ({
  events: list,
  at: at === null ? null : (list.find(({ globalPosition }) => globalPosition === BigInt(at)) ?? null),
  timedOut: false,
  error: new Error("Poison."),
  now: 0,
  ...more,
});
const whole = { upTo: 1_000n, limit: 100 };

describe("A batch that failed", () => {
  it("at a known event is tried again up to that one, which then comes alone", () => {
    const trouble = learnFrom(null, failed(events(1, 100), 51));

    expect(trouble).toMatchObject({ culprit: 51n, failures: 1, tries: 1 });
    expect(boundBatch(trouble, 0n, whole)).toEqual({ upTo: 50n, limit: 100 });
    expect(boundBatch(moveOn(trouble, 50n), 50n, whole)).toEqual({ upTo: 51n, limit: 1 });
    expect(moveOn(trouble, 51n)).toBeNull();
  });

  it("is halved as long as nobody knows which event it was, until one is alone", () => {
    let trouble: Trouble | null = null;
    const limits: number[] = [];
    for (let length = 100; length > 1; length = limits.at(-1) as number) {
      trouble = learnFrom(trouble, failed(events(1, length), null));
      expect(trouble.culprit).toBeNull();
      limits.push(boundBatch(trouble, 0n, whole).limit);
    }
    trouble = learnFrom(trouble, failed(events(1, 1), null));

    expect(limits).toEqual([50, 25, 13, 7, 4, 2, 1]);
    expect(trouble).toMatchObject({ culprit: 1n, failures: 1, tries: 8 });
  });

  it("is taken apart to its end: the second half is looked through as well", () => {
    const trouble = learnFrom(null, failed(events(1, 10), null));

    expect(moveOn(trouble, 5n)).toBe(trouble);
    expect(boundBatch(trouble, 5n, whole).limit).toBe(5);
    expect(moveOn(trouble, 10n)).toBeNull();
  });

  it("that ran out of time is tried with fewer events, wherever it was", () => {
    expect(learnFrom(null, failed(events(1, 100), 81, { timedOut: true }))).toMatchObject({ culprit: null, limit: 50 });
    expect(learnFrom(null, failed(events(1, 100), 11, { timedOut: true }))).toMatchObject({ culprit: null, limit: 10 });
    expect(learnFrom(null, failed(events(1, 100), 1, { timedOut: true }))).toMatchObject({ culprit: 1n, failures: 1 });
  });

  it("counts the failures of one event, from the first, and those of another anew", () => {
    const once = learnFrom(null, failed(events(1, 3), 2, { now: 10 }));
    const twice = learnFrom(once, failed(events(2, 2), 2, { now: 20 }));
    const other = learnFrom(twice, failed(events(1, 1), 1, { now: 30 }));

    expect(twice).toMatchObject({ culprit: 2n, failures: 2, firstFailedAt: 10 });
    expect(other).toMatchObject({ culprit: 1n, failures: 1, firstFailedAt: 30, tries: 3 });
  });

  it("never leads beyond what may be read", () => {
    const trouble = learnFrom(null, failed(events(1, 100), 51));

    expect(boundBatch(trouble, 50n, { upTo: 40n, limit: 100 }).upTo).toBe(40n);
    expect(boundBatch(trouble, 10n, { upTo: 40n, limit: 100 }).upTo).toBe(40n);
  });
});

/** Runs the log through a handler that fails at bad events; a bad one is skipped after `max` failures. */
function runThrough(length: number, bad: ReadonlySet<number>, batchSize: number, max: number, tells: boolean) {
  const log = events(1, length);
  const handled: bigint[] = [];
  const skipped: { position: bigint; failures: number }[] = [];
  let trouble: Trouble | null = null;
  let position = 0n;
  let batches = 0;
  while (position < BigInt(length)) {
    batches += 1;
    const { upTo, limit } = boundBatch(trouble, position, { upTo: BigInt(length), limit: batchSize });
    const above = log.filter(({ globalPosition }) => globalPosition > position && globalPosition <= upTo);
    const page = above.slice(0, limit);
    const through = page.length === limit ? (page.at(-1) as RecordedEvent).globalPosition : upTo;
    const culprit: RecordedEvent | undefined = page.find(({ globalPosition }) => bad.has(Number(globalPosition)));
    if (trouble && trouble.failures >= max && trouble.culprit === page[0]?.globalPosition) {
      skipped.push({ position: trouble.culprit as bigint, failures: trouble.failures });
    } else if (culprit) {
      trouble = learnFrom(trouble, failed(page, tells ? Number(culprit.globalPosition) : null));
      continue;
    } else handled.push(...page.map(({ globalPosition }) => globalPosition));
    position = through;
    trouble = moveOn(trouble, position);
  }
  return { handled, skipped, batches };
}

describe("Whatever events fail", () => {
  it("each good one is kept once, in order, and each bad one fails exactly as often as it may", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 60 }),
        fc.uniqueArray(fc.integer({ min: 1, max: 60 }), { maxLength: 8 }),
        fc.integer({ min: 1, max: 20 }),
        fc.integer({ min: 1, max: 5 }),
        fc.boolean(),
        (length, bad, batchSize, max, tells) => {
          const badOnes = new Set(bad.filter((position) => position <= length));
          const { handled, skipped, batches } = runThrough(length, badOnes, batchSize, max, tells);

          const good = events(1, length).map(({ globalPosition }) => globalPosition);
          expect(handled).toEqual(good.filter((position) => !badOnes.has(Number(position))));
          expect(skipped).toEqual(
            good.filter((position) => badOnes.has(Number(position))).map((position) => ({ position, failures: max })),
          );
          // Looking for a culprit costs a few batches, not one for each event.
          const search = Math.ceil(Math.log2(batchSize + 1)) + 3 + batchSize;
          expect(batches).toBeLessThanOrEqual(Math.ceil(length / batchSize) + badOnes.size * (max + 1 + search));
        },
      ),
      { numRuns: 500 },
    );
  });
});
