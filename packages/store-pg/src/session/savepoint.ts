import { SavepointOpenError, TransactionOverError } from "./session-errors.ts";
import type { TransactionChannel } from "./transaction-channel.ts";
import { closeScope, createScope, endOf, failScope, refusalOf, rootCause, type Scope } from "./transaction-scope.ts";

/**
 * Runs `work` in a savepoint of `parent`. If it rejects, or a query in it fails, what was done in it is undone, and the
 * scope around it can go on.
 */
export async function runSavepoint<T>(
  channel: TransactionChannel,
  parent: Scope,
  name: string,
  work: (scope: Scope) => Promise<T>,
): Promise<T> {
  const end = endOf(parent);
  if (end !== undefined) throw end;
  const refusal = refusalOf(parent);
  if (refusal !== undefined) {
    failScope(parent, refusal);
    throw refusal;
  }

  const scope = createScope(parent);
  parent.hasSavepoint = true;
  try {
    await channel.control(parent, `savepoint ${name}`);
    const outcome = await attempt(channel, parent, scope, name, work);
    if ("value" in outcome) return outcome.value;
    await channel
      .control(parent, `rollback to savepoint ${name}; release savepoint ${name}`)
      .catch((error: unknown) => {
        failScope(parent, error);
        throw error;
      });
    throw outcome.error;
  } finally {
    parent.hasSavepoint = false;
  }
}

async function attempt<T>(
  channel: TransactionChannel,
  parent: Scope,
  scope: Scope,
  name: string,
  work: (scope: Scope) => Promise<T>,
): Promise<{ readonly value: T } | { readonly error: unknown }> {
  try {
    const value = await work(scope);
    closeScope(scope, overError);
    if (scope.hasSavepoint) throw new SavepointOpenError();
    if (scope.failure !== undefined) throw scope.failure.error;
    // Also waits for what was sent and not awaited; a failure among that fails the release.
    await channel.control(parent, `release savepoint ${name}`);
    return { value };
  } catch (error) {
    closeScope(scope, overError);
    return { error: rootCause(scope, error) };
  }
}

function overError(): TransactionOverError {
  return new TransactionOverError("savepoint");
}
