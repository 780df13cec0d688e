import type { Clock, Randomness } from "./clock.ts";
import type { ControlSignal } from "./control-signal.ts";
import type { EventSource } from "./emitter.ts";
import type { GlobalPosition } from "./event.ts";
import type { Logger } from "./logger.ts";
import type { PulseReading } from "./pulse.ts";

/** What a worker lends its dispatcher. */
export interface DispatcherContext {
  /** Something may be new in the log. Cheap, never throws, and may be called too often. */
  wake(): void;
  /** A control signal arrived. Dispatchers without a session of their own never call it. */
  control(signal: ControlSignal): void;
  /** Asks the store for the newest position. */
  latestPosition(): Promise<GlobalPosition>;
  readonly clock: Clock;
  readonly random: Randomness;
  readonly logger: Logger;
}

/** How a dispatcher is doing. */
export interface DispatcherHealth {
  /** False while wake-ups cannot arrive the way they should. The worker's own slow poll goes on meanwhile. */
  readonly healthy: boolean;
  /** What is wrong, for people; null when nothing is. */
  readonly problem: string | null;
  /** The turns of its loop; null or absent when it has none, or does not run. A loop that hangs costs the worker its liveness. */
  readonly pulse?: PulseReading | null;
}

/** Everything a dispatcher reports while it runs. */
export type DispatcherEvents = {
  /** Wake-ups arrive from now on: after the start, and after each recovery. */
  "dispatcher:connected": { attempt: number };
  /** Wake-ups do not arrive for now; it tries again after `retryInMs`. */
  "dispatcher:disconnected": { error: unknown; retryInMs: number };
};

/** Tells a worker that something may be new. Wake-ups are hints: a lost one costs time, never an event. */
export interface Dispatcher {
  /**
   * Begins to wake. Resolves when wake-ups would arrive; rejects when they never could (wrong set-up), having closed what it
   * opened. A database that is away is no reason to reject: it keeps trying. Called again, it gives the same promise.
   *
   * @throws {@link StartAbortedError} when it is stopped before it has started
   * @throws {@link InvalidStateError} when it was stopped before
   */
  start(context: DispatcherContext): Promise<void>;
  /** Ends everything it opened. Afterwards nothing of the context is called. Twice is fine. */
  stop(): Promise<void>;
  health(): DispatcherHealth;
  readonly events: EventSource<DispatcherEvents>;
}
