import { SavepointOpenError } from "./session-errors.ts";

/** What is open for a while and then over: a transaction, or a savepoint in one. */
export interface Scope {
  /** Why the scope is over, or one around it; undefined while it lasts. */
  ended(): Error | undefined;
  /** Why nothing may be sent through this very scope now: it has ended, or a savepoint in it is open. */
  refusal(): Error | undefined;
  /** The first thing that went wrong in it. It fails the scope, whether the error was caught or not. */
  readonly failure: { readonly error: unknown } | undefined;
  /** True while a savepoint in it is open. */
  readonly hasSavepoint: boolean;
  fail(error: unknown): void;
  /** Ends the scope. Only the first call counts. */
  close(why: () => Error): void;
  /** A part of it that can be closed before it, and whose failures are its own. */
  part(): Scope;
  /** Opens a savepoint. */
  enter(): Scope;
  /** The savepoint opened last is over. */
  leave(): void;
}

export function createScope(): Scope {
  return scopeIn();
}

function scopeIn(parent?: Scope, onFailure?: (error: unknown) => void): Scope {
  let over: (() => Error) | undefined;
  let failure: { readonly error: unknown } | undefined;
  let hasSavepoint = false;

  const scope: Scope = {
    ended: () => over?.() ?? parent?.ended(),
    refusal: () => scope.ended() ?? (hasSavepoint ? new SavepointOpenError() : undefined),
    get failure() {
      return failure;
    },
    get hasSavepoint() {
      return hasSavepoint;
    },
    fail(error) {
      failure ??= { error };
      onFailure?.(error);
    },
    close(why) {
      over ??= why;
    },
    part: () => scopeIn(scope, scope.fail),
    enter() {
      hasSavepoint = true;
      return scopeIn(scope);
    },
    leave() {
      hasSavepoint = false;
    },
  };
  return scope;
}

/** Why a scope failed: the first failure in it, where `error` only says that there was one. */
export function rootCause(scope: Scope, error: unknown): unknown {
  const isEcho = (error as { code?: unknown } | undefined)?.code === IN_FAILED_TRANSACTION;
  return isEcho && scope.failure !== undefined ? scope.failure.error : error;
}

const IN_FAILED_TRANSACTION = "25P02";
