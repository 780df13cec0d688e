import {
  type AggregateRef,
  type BatchDeadLetters,
  checkInteger,
  type DeadLetter,
  type DeadLetterFailure,
  type DeadLetterQuery,
  type DeadLetterSelection,
  type GlobalPosition,
} from "@pup/core";
import { lockCheckpoint } from "./checkpoints.ts";
import type { Database } from "./database.ts";
import { aggregateKey } from "./event-table.ts";
import { eachRow, lockRow, readRow, type Transaction, writeRow } from "./transaction.ts";

const LETTERS = "consumer_dead_letters";

const DEFAULT_LIMIT = 100;

/** Letters of one consumer, or of all, in no order. */
function* eachLetter(database: Database, transaction: Transaction | null, consumer?: string): Iterable<DeadLetter> {
  for (const letter of eachRow<DeadLetter>(database, transaction, LETTERS)) {
    if (consumer === undefined || letter.consumer === consumer) yield letter;
  }
}

/** The same in order. */
function readLetters(database: Database, transaction: Transaction | null, consumer?: string): DeadLetter[] {
  return [...eachLetter(database, transaction, consumer)].sort((a, b) =>
    a.consumer === b.consumer ? compare(a.position, b.position) : compare(a.consumer, b.consumer),
  );
}

export function listDeadLetters(
  database: Database,
  { consumer, aggregate, after, limit = DEFAULT_LIMIT }: DeadLetterQuery,
): readonly DeadLetter[] {
  checkInteger("limit", limit, { max: 10_000 });
  const isAfter = (letter: DeadLetter) =>
    after === undefined ||
    letter.consumer > after.consumer ||
    (letter.consumer === after.consumer && letter.position > after.position);
  return readLetters(database, null, consumer)
    .filter((letter) => isAfter(letter) && isOf(letter, aggregate))
    .slice(0, limit);
}

/** Makes letters due; of a parked aggregate the first. */
export async function retryDeadLetters(
  database: Database,
  transaction: Transaction,
  selection: DeadLetterSelection,
): Promise<number> {
  const all = readLetters(database, transaction, selection.consumer);
  const selected = all.filter((letter) => isSelected(letter, selection));
  const parked = new Set(selected.filter((letter) => letter.parked).map(aggregateKey));
  const marked = [...selected.filter((letter) => !letter.parked), ...firstOfEach(all, parked)];
  let count = 0;
  for (const letter of marked) if (await makeDue(database, transaction, letter)) count += 1;
  return count;
}

/** Deletes letters, and makes due what waited behind the first one of a parked aggregate. */
export async function discardDeadLetters(
  database: Database,
  transaction: Transaction,
  selection: DeadLetterSelection,
): Promise<{ readonly discarded: number; readonly due: number }> {
  // A batch may be adding letters to the very aggregate.
  await lockCheckpoint(database, transaction, selection.consumer);
  const selected = readLetters(database, transaction, selection.consumer).filter((each) => isSelected(each, selection));
  for (const letter of selected) await change(database, transaction, letter, () => undefined);
  const released = new Set(selected.filter(({ parked }) => parked).map(aggregateKey));
  const first = firstOfEach(eachLetter(database, transaction, selection.consumer), released);
  const waiting = first.filter(({ attempts, due }) => attempts === 0 && !due);
  for (const letter of waiting) await makeDue(database, transaction, letter);
  return { discarded: selected.length, due: waiting.length };
}

export function lookForDeadLetters(database: Database, consumer: string) {
  const found = { parked: false, due: false };
  for (const { parked, due } of eachLetter(database, null, consumer)) {
    found.parked ||= parked;
    found.due ||= due;
  }
  return found;
}

export function nextDueDeadLetter(database: Database, consumer: string): DeadLetter | null {
  let next: DeadLetter | null = null;
  for (const letter of eachLetter(database, null, consumer)) {
    if (letter.due && (next === null || letter.position < next.position)) next = letter;
  }
  return next;
}

/** Which of a worker's consumers have due letters. */
export function dueAmong(database: Database, consumers: readonly string[]): readonly string[] {
  const due = new Set<string>();
  for (const letter of eachLetter(database, null)) if (letter.due) due.add(letter.consumer);
  return consumers.filter((consumer) => due.has(consumer));
}

/** Gives a batch the letters of its consumer. */
export function openBatchDeadLetters(database: Database, transaction: Transaction, consumer: string): BatchDeadLetters {
  const now = () => new Date(database.epochMs + database.clock.now());
  const find = (position: GlobalPosition) =>
    readRow<DeadLetter>(database, transaction, LETTERS, keyOf({ consumer, position }));

  return {
    async parkedAmong(aggregates) {
      const keys = new Set<string>();
      for (const letter of eachLetter(database, transaction, consumer)) {
        if (letter.parked) keys.add(aggregateKey(letter));
      }
      if (keys.size === 0) return null;
      const asked = new Map(
        aggregates.map(({ aggregateType, aggregateId }) => [
          aggregateKey({ aggregateType, aggregateId }),
          { aggregateType, aggregateId },
        ]),
      );
      return [...asked].flatMap(([key, aggregate]) => (keys.has(key) ? [aggregate] : []));
    },
    async put(letters) {
      for (const { event, parked, failure } of letters) {
        const letter: DeadLetter = {
          consumer,
          position: event.globalPosition,
          eventId: event.id,
          eventType: event.type,
          aggregateType: event.aggregateType,
          aggregateId: event.aggregateId,
          parked,
          attempts: failure?.attempts ?? 0,
          failure: failure && storable(failure),
          firstFailedAt: failure && new Date(now().getTime() - failure.firstFailedAgoMs),
          lastFailedAt: failure && now(),
          due: false,
        };
        await change(database, transaction, letter, (before) => (before && !failure ? before : letter));
      }
    },
    async resolve(position) {
      const letter = find(position);
      if (!letter) return false;
      await change(database, transaction, letter, () => undefined);
      if (!letter.parked) return true;
      const behind = [...eachLetter(database, transaction, consumer)].filter((each) => each.position > position);
      const [next] = firstOfEach(behind, new Set([aggregateKey(letter)]));
      if (next) await makeDue(database, transaction, next);
      return true;
    },
    async fail(position, failure) {
      const letter = find(position);
      if (!letter) return;
      const failed = (before: DeadLetter): DeadLetter => ({
        ...before,
        attempts: before.attempts + 1,
        failure: storable(failure),
        firstFailedAt: before.firstFailedAt ?? now(),
        lastFailedAt: now(),
        due: false,
      });
      await change(database, transaction, letter, (before) => before && failed(before));
    },
  };
}

/** @returns false when the letter is gone by the time its row is locked: it is not to come back */
async function makeDue(database: Database, transaction: Transaction, letter: DeadLetter): Promise<boolean> {
  let found = false;
  await change(database, transaction, letter, (before) => {
    found = before !== undefined;
    return before && { ...before, due: true };
  });
  return found;
}

/** What PostgreSQL can keep of a text. */
function storable({ message, stack }: DeadLetterFailure): DeadLetterFailure {
  const clean = (text: string) => text.replaceAll("\0", "\u{FFFD}").toWellFormed();
  return { message: clean(message), stack: stack === null ? null : clean(stack) };
}

/** Writes what `make` makes of the letter as it is once its row is locked; undefined is no letter. */
async function change(
  database: Database,
  transaction: Transaction,
  letter: DeadLetter,
  make: (before: DeadLetter | undefined) => DeadLetter | undefined,
): Promise<void> {
  const key = keyOf(letter);
  await lockRow(database, transaction, LETTERS, key);
  const before = readRow<DeadLetter>(database, transaction, LETTERS, key);
  writeRow(transaction, LETTERS, key, make(before));
}

/** The first letter of each of the aggregates that is parked. */
function firstOfEach(letters: Iterable<DeadLetter>, aggregates: ReadonlySet<string>): readonly DeadLetter[] {
  const first = new Map<string, DeadLetter>();
  if (aggregates.size === 0) return [];
  for (const letter of letters) {
    if (!letter.parked) continue;
    const key = aggregateKey(letter);
    const before = first.get(key);
    if (aggregates.has(key) && (!before || letter.position < before.position)) first.set(key, letter);
  }
  // Rows are locked in the order of their positions.
  return [...first.values()].sort((a, b) => compare(a.position, b.position));
}

function isSelected(letter: DeadLetter, { positions, aggregate }: DeadLetterSelection): boolean {
  return (positions?.includes(letter.position) ?? true) && isOf(letter, aggregate);
}

function isOf(letter: DeadLetter, aggregate: AggregateRef | undefined): boolean {
  return aggregate === undefined || aggregateKey(letter) === aggregateKey(aggregate);
}

function keyOf({ consumer, position }: Pick<DeadLetter, "consumer" | "position">): string {
  return JSON.stringify([consumer, String(position)]);
}

function compare<T>(a: T, b: T): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
