import { setTimeout as wait } from "node:timers/promises";
import type { Consumer, ConsumerSettings, HandlerContext } from "@pup/core";

/** A call of a handler that has not settled. */
export interface HandlerCall {
  /** Worker that made it. */
  readonly worker: string;
  readonly consumer: string;
}

/** The handlers that are under way. */
export interface Handlers {
  /** Calls that somebody waits for still: those of batches that have been given up do not count. */
  readonly underWay: readonly HandlerCall[];
  /**
   * Wraps a consumer, so that its calls are seen.
   *
   * @param settings - what to put in place of the consumer's own
   */
  watch<Tx>(consumer: Consumer<Tx>, worker: string, settings?: ConsumerSettings): Consumer<Tx>;
  /** Waits in real time until one of the calls under way settles. @returns false when none has within that time */
  waitForOne(patienceMs: number): Promise<boolean>;
  /** Ends a worker for its handlers: calls that are under way never return to it, and what it still calls is not called. */
  bury(worker: string): void;
}

/** Begins to watch handlers. */
export function createHandlers(): Handlers {
  const calls = new Map<HandlerCall, { readonly settled: Promise<void>; readonly signal: AbortSignal }>();
  const dead = new Set<string>();
  const awaited = () => [...calls].filter(([, { signal }]) => !signal.aborted);

  const track = (call: HandlerCall, outcome: unknown, { signal }: HandlerContext): unknown => {
    if (!(outcome instanceof Object && "then" in outcome)) return outcome;
    const handling = Promise.resolve(outcome);
    const end = () => {
      calls.delete(call);
    };
    calls.set(call, { settled: handling.then(end, end), signal });
    return handling.finally(() => (dead.has(call.worker) ? never() : undefined));
  };

  return {
    get underWay() {
      return awaited().map(([call]) => call);
    },
    watch: (consumer, worker, settings = {}) =>
      // Not a copy: what a class's instance handles stays its own business, private fields included.
      new Proxy(consumer, {
        get(target, key) {
          if (key in settings) return settings[key as keyof ConsumerSettings];
          const value: unknown = Reflect.get(target, key);
          if ((key !== "handle" && key !== "handleBatch") || typeof value !== "function") return value;
          return (events: unknown, context: HandlerContext) =>
            dead.has(worker)
              ? never()
              : track({ worker, consumer: target.name }, value.call(target, events, context), context);
        },
      }),
    async waitForOne(patienceMs) {
      const enough = new AbortController();
      const tooLong = wait(patienceMs, false, { signal: enough.signal }).catch(() => false);
      try {
        return await Promise.race([tooLong, ...awaited().map(([, { settled }]) => settled.then(() => true))]);
      } finally {
        enough.abort();
      }
    },
    bury(worker) {
      dead.add(worker);
      for (const call of [...calls.keys()]) if (call.worker === worker) calls.delete(call);
    },
  };
}

function never(): Promise<never> {
  return new Promise(() => undefined);
}
