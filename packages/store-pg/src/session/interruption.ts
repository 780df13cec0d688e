import { swallow } from "./query.ts";
import type { Session } from "./session.ts";
import { TransactionAbortedError, TransactionTimeoutError } from "./session-errors.ts";

/** What can stop a transaction from outside: its connection is lost, its time is over, or its signal aborts. */
export interface Interruption {
  /** The first of them that happened. */
  readonly reason: Error | undefined;
  /** Rejects with it. */
  readonly happened: Promise<never>;
  dispose(): void;
}

export interface InterruptionOptions {
  readonly session: Session;
  readonly signal: AbortSignal | undefined;
  readonly timeoutMs: number | undefined;
  /** Called at once, each time. */
  readonly onReason: (reason: Error) => void;
}

export function createInterruption({ session, signal, timeoutMs, onReason }: InterruptionOptions): Interruption {
  let first: Error | undefined;
  let reject: (reason: Error) => void;
  const happened = new Promise<never>((_, rejectHappened) => {
    reject = rejectHappened;
  });
  swallow(happened);

  function interrupt(reason: Error): void {
    first ??= reason;
    onReason(reason);
    reject(reason);
  }

  const onAbort = () => interrupt(new TransactionAbortedError({ cause: signal?.reason }));
  const onTimeout = () => interrupt(new TransactionTimeoutError(timeoutMs ?? 0));

  const unwatch = session.watch(interrupt);
  const timer = timeoutMs === undefined ? undefined : setTimeout(onTimeout, timeoutMs);
  signal?.addEventListener("abort", onAbort, { once: true });
  if (signal?.aborted) onAbort();

  return {
    get reason() {
      return first;
    },
    happened,
    dispose() {
      unwatch();
      clearTimeout(timer);
      signal?.removeEventListener("abort", onAbort);
    },
  };
}
