import type { AppendResult, ExpectedVersion, NewEvent, Randomness, RecordedEvent } from "@pup/core";
import { createSeededRandomness } from "@pup/testing";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { PgStore } from "../create-store.ts";
import { type TestSchema, useSchemas } from "../test-support/open-schema.ts";

const openSchema = useSchemas();
let schema: TestSchema;

beforeEach(async () => {
  schema = await openSchema({ max: 10 });
  // Something to be wrong with an event that only the database sees.
  await schema.sql`ALTER TABLE events ADD CHECK (NOT payload ? 'bad')`;
});
afterEach(() => schema[Symbol.asyncDispose]());

const AGGREGATES = 8;
const CALLERS = 16;
const ROUNDS = 12;
const range = (length: number) => Array.from({ length }, (_, index) => index);

/** What was asked, and what came of it. */
interface Attempt {
  readonly caller: string;
  readonly aggregateId: string;
  readonly expectedVersion: ExpectedVersion;
  readonly ids: readonly string[];
  readonly result?: AppendResult;
  readonly code?: string;
  readonly actual?: number;
}

/** Sends appends as they come into its head: several at once, without waiting, now and then one that repeats the one before. */
async function callAtRandom(caller: string, store: PgStore, random: Randomness, attempts: Attempt[]): Promise<void> {
  const pick = (limit: number) => Math.floor(random.fraction() * limit);
  for (const _ of range(ROUNDS)) {
    const burst: Promise<void>[] = [];
    for (const __ of range(1 + pick(4))) {
      const aggregateId = `${pick(AGGREGATES)}`;
      const isBad = pick(15) === 0;
      const events = range(1 + pick(3)).map((): NewEvent => {
        const payload = isBad ? { bad: true } : { text: "x".repeat(pick(20) === 0 ? 70_000 : 10) };
        return { aggregateType: "Order", aggregateId, type: "OrderPlaced", id: random.uuid(), payload };
      });
      const expectedVersion: ExpectedVersion = pick(2) === 0 ? "any" : pick(3) === 0 ? "no-stream" : pick(30);
      const times = pick(8) === 0 ? 2 : 1;
      for (const ___ of range(times)) {
        const known: Attempt = { caller, aggregateId, expectedVersion, ids: events.map(({ id }) => id as string) };
        // In the order of sending: the results come in any.
        const at = attempts.push(known) - 1;
        burst.push(
          store.append(events, { expectedVersion }).then(
            (result) => {
              attempts[at] = { ...known, result };
            },
            ({ code, actual = -1 }: { code: string; actual?: number }) => {
              attempts[at] = { ...known, code, actual };
            },
          ),
        );
      }
    }
    await Promise.all(burst);
  }
}

/** Transactions of others: two heads in any order, held for a moment, committed or not. */
async function interfere(store: PgStore, random: Randomness): Promise<void> {
  const pick = (limit: number) => Math.floor(random.fraction() * limit);
  for (const _ of range(6)) {
    await store
      .transaction(async (tx) => {
        for (const __ of range(2)) {
          const aggregateId = `${pick(AGGREGATES)}`;
          await store.append([{ aggregateType: "Order", aggregateId, type: "Interfered", payload: {} }], { tx });
          await tx.sql`SELECT pg_sleep(${pick(90) / 1_000})`;
        }
        if (pick(2) === 0) throw new Error("rolled back");
      })
      // Two of them can meet in a circle: that is theirs.
      .catch(() => undefined);
  }
}

describe("Whatever many callers append at once", () => {
  it.each([1, 2, 3])("could have happened one after the other (seed %i)", async (seed) => {
    const stores = [schema.openStore(), schema.openStore({ max: 4 })] as const;
    const attempts: Attempt[] = [];
    await Promise.all([
      ...range(CALLERS).map((n) =>
        callAtRandom(`store ${n % 2}`, stores[n % 2 === 0 ? 0 : 1], createSeededRandomness(seed * 100 + n), attempts),
      ),
      ...stores.map((store, n) => interfere(store, createSeededRandomness(seed * 1_000 + n))),
    ]);

    const streams = new Map<string, readonly RecordedEvent[]>();
    for (const n of range(AGGREGATES)) {
      const { events } = await stores[0].readStream({ aggregateType: "Order", aggregateId: `${n}` });
      streams.set(`${n}`, events);
      expect(events.map(({ aggregateVersion }) => aggregateVersion)).toEqual(events.map((_, index) => index + 1));
      expect(events.map(({ globalPosition }) => globalPosition)).toEqual(
        events.map(({ globalPosition }) => globalPosition).toSorted((a, b) => Number(a - b)),
      );
    }
    const [heads] = await schema.sql<{ wrong: number }[]>`
      SELECT count(*)::int AS wrong FROM aggregate_heads AS head
      WHERE aggregate_version <> (SELECT count(*) FROM events WHERE aggregate_id = head.aggregate_id)`;
    expect(heads).toEqual({ wrong: 0 });

    const written = new Set<string>();
    for (const attempt of attempts) {
      const stream = streams.get(attempt.aggregateId) ?? [];
      if (attempt.result === undefined) expectRefusal(attempt, stream.length);
      else expectPlaces(attempt, attempt.result, stream);
      for (const id of attempt.result === undefined ? [] : attempt.ids) written.add(id);
    }
    // What was refused is not there; nor is anything twice.
    const all = [...streams.values()].flat().filter(({ type }) => type === "OrderPlaced");
    expect(all.map(({ id }) => id).toSorted()).toEqual([...written].toSorted());
    expectOrderOfSending(attempts);
    // Chance was fair enough to try everything.
    const kinds = new Set(attempts.map(({ code, result }) => code ?? `${result?.duplicate}`));
    expect([...kinds].toSorted()).toEqual(["23514", "PUP_CONCURRENCY_CONFLICT", "false", "true"]);
  });
});

function expectPlaces({ expectedVersion, ids }: Attempt, result: AppendResult, stream: readonly RecordedEvent[]): void {
  expect(stream.slice(result.fromVersion, result.toVersion)).toEqual(result.events);
  expect(result.events.map(({ id }) => id)).toEqual(ids);
  if (expectedVersion !== "any") expect(result.fromVersion).toBe(expectedVersion === "no-stream" ? 0 : expectedVersion);
}

function expectRefusal({ code, expectedVersion, actual }: Attempt, finalVersion: number): void {
  if (code !== "PUP_CONCURRENCY_CONFLICT") return;
  expect(actual).not.toBe(expectedVersion === "no-stream" ? 0 : expectedVersion);
  expect(actual).toBeLessThanOrEqual(finalVersion);
}

/** Of one process, those to one aggregate have gone through in the order in which they were sent. */
function expectOrderOfSending(attempts: readonly Attempt[]): void {
  const ofEach = Map.groupBy(attempts, ({ caller, aggregateId }) => `${caller} ${aggregateId}`);
  for (const list of ofEach.values()) {
    const versions = list.flatMap(({ result }) => (result === undefined || result.duplicate ? [] : [result.toVersion]));
    expect(versions).toEqual(versions.toSorted((a, b) => a - b));
  }
}
