import type { Session } from "./session.ts";
import { TransactionAbortedError, TransactionTimeoutError } from "./session-errors.ts";

export interface InterruptionSources {
  readonly session: Session;
  readonly signal: AbortSignal | undefined;
  readonly timeoutMs: number | undefined;
}

/**
 * Watches for what can stop a transaction from outside: its connection is lost, its time is over, or its signal aborts.
 * Calls back at once, each time; also before it returns.
 *
 * @returns its undo
 */
export function watchForInterruption(
  { session, signal, timeoutMs }: InterruptionSources,
  onReason: (reason: Error) => void,
): () => void {
  const onAbort = () => onReason(new TransactionAbortedError({ cause: signal?.reason }));
  const onTimeout = () => onReason(new TransactionTimeoutError(timeoutMs ?? 0));

  const unwatch = session.watch(onReason);
  const timer = timeoutMs === undefined ? undefined : setTimeout(onTimeout, timeoutMs);
  signal?.addEventListener("abort", onAbort, { once: true });
  if (signal?.aborted) onAbort();

  return () => {
    unwatch();
    clearTimeout(timer);
    signal?.removeEventListener("abort", onAbort);
  };
}
