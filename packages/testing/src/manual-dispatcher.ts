import {
  type ControlSignal,
  createEvents,
  type Dispatcher,
  type DispatcherContext,
  type DispatcherEvents,
} from "@pup/core";

/** A dispatcher that wakes when told to. */
export interface ManualDispatcher extends Dispatcher {
  /** Wakes the worker, as a new event would. Does nothing unless started. */
  wake(): void;
  /** Passes a control signal on. Does nothing unless started. */
  control(signal: ControlSignal): void;
  /** Reports a disturbance (or with null, its end) as health and as event. */
  setProblem(problem: string | null): void;
  readonly started: boolean;
}

/**
 * Creates a dispatcher to ring by hand.
 *
 * @example
 * ```ts
 * const dispatcher = createManualDispatcher();
 * const worker = createWorker({ store, dispatcher, consumers });
 * dispatcher.wake();
 * ```
 */
export function createManualDispatcher(): ManualDispatcher {
  const events = createEvents<DispatcherEvents>();
  let context: DispatcherContext | null = null;
  let problem: string | null = null;

  return {
    events,
    start(given) {
      context = given;
      events.emit("dispatcher:connected", { attempt: 1 });
      return Promise.resolve();
    },
    stop() {
      context = null;
      return Promise.resolve();
    },
    health: () => ({ healthy: problem === null, problem }),

    wake: () => context?.wake(),
    control: (signal) => context?.control(signal),
    setProblem(given) {
      problem = given;
      if (given === null) events.emit("dispatcher:connected", { attempt: 1 });
      else events.emit("dispatcher:disconnected", { error: new Error(given), retryInMs: 0 });
    },
    get started() {
      return context !== null;
    },
  };
}
