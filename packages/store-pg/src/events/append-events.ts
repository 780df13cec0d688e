import {
  type AppendResult,
  ConcurrencyConflictError,
  DuplicateEventIdError,
  type ExpectedVersion,
  resolveExpectedVersion,
} from "@pup/core";
import type { Execute, SqlValue } from "../execute.ts";
import type { Tables } from "../schema/tables.ts";
import { sqlStateOf, UNIQUE_VIOLATION } from "../sql-state.ts";
import { translateAppendError } from "./append-error.ts";
import { type AppendInput, toEventsJson } from "./append-input.ts";
import { toAppendResult } from "./append-result.ts";
import {
  appendText,
  type EventsForm,
  type GivenIdRow,
  givenIdsText,
  type HeadRule,
  lockExistingHeadText,
  lockHeadText,
  type PlaceRow,
} from "./append-statements.ts";
import { bucketOf } from "./bucket.ts";

/** How one append is carried out. */
export interface AppendRequest {
  readonly input: AppendInput;
  readonly expectedVersion?: ExpectedVersion | undefined;
  /** True where no error may occur: it would take everything else that the caller's transaction has done with it. */
  readonly inCallersTransaction: boolean;
  /** Channel to notify in the same transaction; undefined to leave that. */
  readonly channel?: string | undefined;
  /** True when a first attempt has just been refused, in whatever statement: what comes next is to find out why. */
  readonly wasRefused?: boolean | undefined;
}

/** Appends through `execute`. */
export type AppendEvents = (execute: Execute, request: AppendRequest) => Promise<AppendResult>;

/** Why an append did not go through. */
type Explanation =
  | { readonly kind: "repetition"; readonly result: AppendResult }
  | { readonly kind: "refusal"; readonly error: Error }
  /** Nothing stands in the way any more: another attempt may succeed. */
  | { readonly kind: "passed"; readonly error: Error };

/** Between two looks the aggregate can reach the very version that was expected. More often than this it is chance no more. */
const MAX_ATTEMPTS = 5;

/** Makes the append of a store. */
export function createAppendEvents(tables: Tables): AppendEvents {
  const textOf = createTexts(tables);
  const lockHead = lockHeadText(tables);
  const lockExistingHead = lockExistingHeadText(tables);
  const givenIds = givenIdsText(tables);

  function insert(execute: Execute, rule: HeadRule, { input, channel }: AppendRequest, expected: number | null) {
    const { aggregate, texts } = input;
    const [event] = texts;
    const isOne = texts.length === 1 && rule !== "locked";
    const values: SqlValue[] = [aggregate.aggregateType, aggregate.aggregateId, bucketOf(aggregate)];
    if (isOne && event !== undefined) {
      values.push(event.id, event.type, event.version, event.payload, event.metadata);
      values.push(event.trace, event.correlation, event.causation);
    } else values.push(texts.length, `[${toEventsJson(texts)}]`);
    if (rule === "exact") values.push(expected);
    if (channel !== undefined) values.push(channel);
    return execute<PlaceRow>(textOf(isOne ? "one" : "list", rule, channel !== undefined), values);
  }

  /** One statement. Ids that are taken are an error of the database, to be explained afterwards. */
  function appendAtOnce(execute: Execute, request: AppendRequest, expected: number | null) {
    return insert(execute, expected === null ? "any" : expected === 0 ? "no-stream" : "exact", request, expected);
  }

  /**
   * Locks the head, then looks at the ids in a statement that sees all that the lock has waited for, and inserts if none is
   * taken. After each statement the transaction could go on with something else, or commit: nothing is half done.
   */
  async function appendLocked(execute: Execute, request: AppendRequest, expected: number | null) {
    const { aggregateType, aggregateId } = request.input.aggregate;
    const lock = expected === null || expected === 0 ? lockHead : lockExistingHead;
    const [head] = await execute<{ version: number }>(lock, [aggregateType, aggregateId]);
    if (!head || (expected !== null && Number(head.version) !== expected)) return [];
    return insert(execute, "locked", request, expected);
  }

  async function explain(execute: Execute, { input, expectedVersion = "any" }: AppendRequest, expected: number | null) {
    const { aggregate, ids } = input;
    const values = [aggregate.aggregateType, aggregate.aggregateId, JSON.stringify(ids)];
    const given = await execute<GivenIdRow>(givenIds, values);
    const taken = given.filter(isTaken);
    const actual = Number(given[0]?.actual ?? 0);
    const error =
      taken.length > 0
        ? new DuplicateEventIdError(taken.map(({ id }) => id))
        : new ConcurrencyConflictError(aggregate, expectedVersion, actual);

    if (isRepetition(given, taken)) return { kind: "repetition", result: toAppendResult(input, taken, true) } as const;
    const isRefusal = taken.length > 0 || (expected !== null && expected !== actual);
    return { kind: isRefusal ? "refusal" : "passed", error } as const satisfies Explanation;
  }

  return async (execute, request) => {
    const { input, inCallersTransaction, wasRefused = false } = request;
    const expected = resolveExpectedVersion(request.expectedVersion);
    const append = inCallersTransaction && input.hasGivenIds ? appendLocked : appendAtOnce;
    for (let attempt = 1; ; attempt++) {
      let failure: unknown;
      try {
        const places = attempt === 1 && wasRefused ? [] : await append(execute, request, expected);
        if (places.length > 0) return toAppendResult(input, places, false);
      } catch (error) {
        // In the caller's transaction nothing more can be asked after an error.
        if (inCallersTransaction || sqlStateOf(error) !== UNIQUE_VIOLATION) throw translateAppendError(error);
        failure = error;
      }
      const explanation = await explain(execute, request, expected);
      if (explanation.kind === "repetition") return explanation.result;
      if (explanation.kind === "refusal") throw explanation.error;
      if (attempt === MAX_ATTEMPTS) throw failure ?? explanation.error;
    }
  };
}

/** The statements, each made when it is first needed. */
function createTexts(tables: Tables): (form: EventsForm, rule: HeadRule, notifies: boolean) => string {
  const texts = new Map<string, string>();
  return (form, rule, notifies) => {
    const key = `${form} ${rule} ${notifies}`;
    const known = texts.get(key);
    if (known !== undefined) return known;
    const text = appendText(tables, form, rule, notifies);
    texts.set(key, text);
    return text;
  };
}

type TakenIdRow = GivenIdRow & PlaceRow;

function isTaken(row: GivenIdRow): row is TakenIdRow {
  return row.position !== null;
}

/** All ids are there, in this aggregate, in this order, with nothing in between. */
function isRepetition(given: readonly GivenIdRow[], taken: readonly TakenIdRow[]): boolean {
  return (
    taken.length === given.length &&
    taken.every(({ own, version }, index) => own === true && Number(version) === Number(taken[0]?.version) + index)
  );
}
