import {
  createEvents,
  type Dispatcher,
  type DispatcherContext,
  type DispatcherEvents,
  InvalidStateError,
  StartAbortedError,
} from "@pup/core";
import type { MemoryStore } from "./memory/memory-store.ts";

const RETRY_MS = 1_000;

/**
 * Creates a dispatcher that wakes as soon as an in-memory store commits.
 *
 * @example
 * ```ts
 * const store = createMemoryStore();
 * const worker = createWorker({ store, dispatcher: createMemoryDispatcher(store), consumers });
 * ```
 */
export function createMemoryDispatcher({ signals }: Pick<MemoryStore, "signals">): Dispatcher {
  const events = createEvents<DispatcherEvents>();
  const stopping = new AbortController();
  let starting: Promise<void> | undefined;
  let problem: string | null = "It has not been started.";

  const listen = (context: DispatcherContext, connected: () => void) => {
    const back = () => {
      problem = null;
      events.emit("dispatcher:connected", { attempt: 1 });
      context.wake();
      connected();
    };
    const away = (error: Error) => {
      problem = error.message;
      events.emit("dispatcher:disconnected", { error, retryInMs: 0 });
    };
    const subscriptions = [
      signals.on("signal:events", () => context.wake()),
      signals.on("signal:control", ({ signal }) => context.control(signal)),
      signals.on("server:away", ({ error }) => away(error)),
      signals.on("server:back", back),
    ];
    stopping.signal.addEventListener("abort", () => {
      for (const unsubscribe of subscriptions) unsubscribe();
    });
    return { back, away };
  };

  const start = async (context: DispatcherContext) => {
    if (stopping.signal.aborted) throw new InvalidStateError("Expected a dispatcher that has not been stopped.");
    await new Promise<void>((resolve, reject) => {
      const { back, away } = listen(context, resolve);
      stopping.signal.addEventListener("abort", () => reject(new StartAbortedError("The dispatcher was stopped.")));
      const ask = () => {
        context.latestPosition().then(
          () => !stopping.signal.aborted && back(),
          (error: Error) => {
            if (stopping.signal.aborted) return;
            away(error);
            const cancel = context.clock.after(RETRY_MS, ask);
            stopping.signal.addEventListener("abort", cancel);
          },
        );
      };
      ask();
    });
  };

  return {
    events,
    start(context) {
      starting ??= start(context);
      return starting;
    },
    stop() {
      stopping.abort();
      problem = "It has been stopped.";
      return Promise.resolve();
    },
    health: () => ({ healthy: problem === null, problem }),
  };
}
