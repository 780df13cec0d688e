import { SavepointOpenError, TransactionOverError } from "./session-errors.ts";
import type { TransactionChannel } from "./transaction-channel.ts";
import { rootCause, type Scope } from "./transaction-scope.ts";

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
  const ended = parent.ended();
  if (ended !== undefined) throw ended;
  const refusal = parent.refusal();
  if (refusal !== undefined) {
    parent.fail(refusal);
    throw refusal;
  }

  const scope = parent.enter();
  try {
    await channel.control(parent, `savepoint ${name}`);
    const outcome = await attempt(channel, parent, scope, name, work);
    if ("value" in outcome) return outcome.value;
    await channel
      .control(parent, `rollback to savepoint ${name}; release savepoint ${name}`)
      .catch((error: unknown) => {
        parent.fail(error);
        throw error;
      });
    throw outcome.error;
  } finally {
    parent.leave();
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
    scope.close(() => new TransactionOverError("savepoint"));
    if (scope.hasSavepoint) throw new SavepointOpenError();
    if (scope.failure !== undefined) throw scope.failure.error;
    // Also waits for what was sent and not awaited; a failure among that fails the release.
    await channel.control(parent, `release savepoint ${name}`);
    return { value };
  } catch (error) {
    scope.close(() => new TransactionOverError("savepoint"));
    return { error: rootCause(scope, error) };
  }
}
