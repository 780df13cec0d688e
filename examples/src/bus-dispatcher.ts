// A dispatcher of your own: workers are woken by a message bus that your processes have anyway. See docs/writing-an-adapter.md.
import {
  backOffMs,
  createEvents,
  type Dispatcher,
  type DispatcherContext,
  type DispatcherEvents,
  InvalidStateError,
  StartAbortedError,
  sleep,
} from "@pup/core";

/** What the dispatcher asks of a bus: Redis, NATS, MQTT, … */
export interface Bus {
  /** Resolves when messages arrive, to what ends that. `onLost` is called when they arrive no more. Does not hang. */
  subscribe(topic: string, onMessage: () => void, onLost: (error: Error) => void): Promise<() => Promise<void>>;
}

const BACK_OFF = { initialMs: 100, maxMs: 5_000 };

export function createBusDispatcher(bus: Bus, topic: string): Dispatcher {
  const events = createEvents<DispatcherEvents>();
  const stopping = new AbortController();
  const { signal } = stopping;
  let problem: string | null = "It has not been started.";
  let starting: Promise<void> | undefined;
  let listening: Promise<void> | undefined;

  /** Subscribes, and again whenever the subscription is lost, until it is stopped. */
  async function listen({ wake, clock, random }: DispatcherContext, started: () => void): Promise<void> {
    for (let failures = 0; !signal.aborted; ) {
      const over = Promise.withResolvers<void>();
      over.promise.catch(() => undefined); // It may be lost before anybody waits for that.
      signal.addEventListener("abort", () => over.resolve(), { once: true });
      try {
        const unsubscribe = await bus.subscribe(topic, () => signal.aborted || wake(), over.reject);
        if (!signal.aborted) {
          problem = null;
          events.emit("dispatcher:connected", { attempt: failures + 1 });
          failures = 0;
          started();
          wake(); // Something may have happened while nobody listened.
        }
        await over.promise.finally(unsubscribe);
      } catch (error) {
        if (signal.aborted) return;
        failures += 1;
        const retryInMs = backOffMs(failures, BACK_OFF, random);
        problem = `The bus is away: ${error}`;
        events.emit("dispatcher:disconnected", { error, retryInMs });
        await sleep(clock, retryInMs, signal);
      }
    }
  }

  function start(context: DispatcherContext): Promise<void> {
    if (signal.aborted) return Promise.reject(new InvalidStateError("Expected a dispatcher that was not stopped."));
    return new Promise((resolve, reject) => {
      signal.addEventListener("abort", () => reject(new StartAbortedError("It was stopped.")));
      listening = listen(context, resolve);
    });
  }

  return {
    events,
    start(context) {
      starting ??= start(context);
      return starting;
    },
    async stop() {
      stopping.abort();
      problem = "It has been stopped.";
      await listening;
    },
    health: () => ({ healthy: problem === null, problem }),
  };
}
