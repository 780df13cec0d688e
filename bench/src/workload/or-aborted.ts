/** Waits for the first of the promises. Rejects with the signal's reason when that aborts before. */
export async function orAborted<Value>(signal: AbortSignal, ...promises: readonly Promise<Value>[]): Promise<Value> {
  signal.throwIfAborted();
  const { promise: whenAborted, reject } = Promise.withResolvers<never>();
  const onAbort = () => reject(signal.reason);
  signal.addEventListener("abort", onAbort);
  try {
    return await Promise.race([whenAborted, ...promises]);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}
