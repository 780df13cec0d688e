import { percentile } from "../measuring/statistics.ts";

/** How callers call. */
export interface CallOptions {
  /** How many call at the same time, each again as soon as it has its answer. */
  readonly callers: number;
  /** How long they go on, in milliseconds. */
  readonly forMs: number;
  readonly signal: AbortSignal;
}

/** What came of it. */
export interface CallOutcome {
  /** Calls that were answered. */
  readonly calls: number;
  readonly callsPerSecond: number;
  /** Time that 99 % of the calls did not exceed, in milliseconds. */
  readonly p99Ms: number;
}

/** Lets callers call for a while. `makeCall` is asked once for each of them. */
export async function call(
  { callers, forMs, signal }: CallOptions,
  makeCall: (caller: number) => () => PromiseLike<unknown>,
): Promise<CallOutcome> {
  const times: number[] = [];
  const startedAt = performance.now();
  const endsAt = startedAt + forMs;
  const loop = async (caller: number) => {
    const callOnce = makeCall(caller);
    for (let now = performance.now(); now < endsAt && !signal.aborted; ) {
      await callOnce();
      const answeredAt = performance.now();
      times.push(answeredAt - now);
      now = answeredAt;
    }
  };
  await Promise.all(Array.from({ length: callers }, (_, caller) => loop(caller)));
  signal.throwIfAborted();
  const seconds = (performance.now() - startedAt) / 1_000;
  return { calls: times.length, callsPerSecond: times.length / seconds, p99Ms: percentile(times, 0.99) };
}
