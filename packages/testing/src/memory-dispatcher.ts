import { createEvents, type Dispatcher, type DispatcherEvents } from "@pup/core";
import type { MemoryStore } from "./memory/memory-store.ts";

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
  let problem: string | null = null;
  let stopListening: (() => void) | null = null;

  return {
    events,
    start(context) {
      const subscriptions = [
        signals.on("signal:events", () => context.wake()),
        signals.on("signal:control", ({ signal }) => context.control(signal)),
        signals.on("server:away", ({ error }) => {
          problem = error.message;
          events.emit("dispatcher:disconnected", { error, retryInMs: 0 });
        }),
        signals.on("server:back", () => {
          problem = null;
          events.emit("dispatcher:connected", { attempt: 1 });
          context.wake();
        }),
      ];
      stopListening = () => {
        for (const unsubscribe of subscriptions) unsubscribe();
      };
      events.emit("dispatcher:connected", { attempt: 1 });
      return Promise.resolve();
    },
    stop() {
      stopListening?.();
      stopListening = null;
      return Promise.resolve();
    },
    health: () => ({ healthy: problem === null, problem }),
  };
}
