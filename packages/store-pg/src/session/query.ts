import type { PendingQuery } from "postgres";

/**
 * A query of postgres.js, with what its published types leave out. Everything that this package relies on beyond the
 * published interface stands here; {@link isQuery} refuses a version of postgres.js that differs.
 *
 * A query is lazy: `then`, `catch`, `finally`, `execute` and `forEach` call `handler` once, one microtask later. The
 * handler decides where it goes; `resolve` and `reject` are called, by these names, when its answer is there.
 */
export interface Query extends Promise<unknown> {
  handler: (query: Query) => void;
  resolve: (value: unknown) => void;
  reject: (error: unknown) => void;
  strings: readonly string[];
  readonly args: readonly unknown[];
  /** True when it came from a template rather than from `unsafe`. */
  readonly tagged: boolean;
  readonly options: { prepare?: boolean; simple?: boolean };
  /** The backend that it was sent to; null as long as it was not sent. */
  readonly state: { readonly pid: number } | null;
  /** Set by `.values()` and `.raw()`. */
  isRaw?: boolean | "values";
  execute(): this;
}

/** What came back: rows, with the command tag and the number of rows it tells. */
export interface QueryResult extends Array<Record<string, unknown>> {
  readonly command: string;
  readonly count: number;
}

export function isQuery(value: unknown): value is Query {
  const query = value as Query | null | undefined;
  return (
    typeof query === "object" &&
    query !== null &&
    typeof query.handler === "function" &&
    typeof query.reject === "function" &&
    Array.isArray(query.strings)
  );
}

/** The other view of the same object. */
export function asQuery(pending: PendingQuery<never>): Query {
  return pending as unknown as Query;
}

/** Keeps a rejection that nobody waits for from ending the process. Who does wait is told all the same. */
export function swallow(promise: Promise<unknown>): void {
  // The method of all promises: a query's own would execute it.
  Promise.prototype.then.call(promise, undefined, () => undefined);
}

/** Tells a query that it failed. Nobody need be listening. */
export function fail(query: Query, error: unknown): void {
  swallow(query);
  query.reject(error);
}
