import { SavepointOpenError } from "./session-errors.ts";

/** What is open for a while and then over: a transaction, a part of one, or a savepoint in it. Data for the functions below. */
export interface Scope {
  /** The scope around it: over with that one at the latest. */
  readonly parent: Scope | undefined;
  /** True for a part that is closed by itself, but fails the scope around it. */
  readonly isPart: boolean;
  /** Why it is over; undefined while it lasts. */
  over: (() => Error) | undefined;
  /** The first thing that went wrong in it. It fails the scope, whether the error was caught or not. */
  failure: { readonly error: unknown } | undefined;
  /** True while a savepoint in it is open. */
  hasSavepoint: boolean;
}

export function createScope(parent?: Scope, isPart = false): Scope {
  return { parent, isPart, over: undefined, failure: undefined, hasSavepoint: false };
}

/** A part of a scope that can be closed before it, and whose failures are its own. */
export function partOf(scope: Scope): Scope {
  return createScope(scope, true);
}

/** Why a scope is over, or one around it; undefined while it lasts. */
export function endOf({ over, parent }: Scope): Error | undefined {
  return over?.() ?? (parent && endOf(parent));
}

/** Why nothing may be sent through this very scope now: it is over, or a savepoint in it is open. */
export function refusalOf(scope: Scope): Error | undefined {
  return endOf(scope) ?? (scope.hasSavepoint ? new SavepointOpenError() : undefined);
}

export function failScope(scope: Scope, error: unknown): void {
  scope.failure ??= { error };
  if (scope.isPart && scope.parent !== undefined) failScope(scope.parent, error);
}

/** Ends a scope, and with it every scope in it. Only the first call counts. */
export function closeScope(scope: Scope, why: () => Error): void {
  scope.over ??= why;
}

/** Why a scope failed: the first failure in it, where `error` only says that there was one. */
export function rootCause(scope: Scope, error: unknown): unknown {
  const isEcho = (error as { code?: unknown } | undefined)?.code === IN_FAILED_TRANSACTION;
  return isEcho && scope.failure !== undefined ? scope.failure.error : error;
}

const IN_FAILED_TRANSACTION = "25P02";
