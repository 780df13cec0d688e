import type { EventSource, GlobalPosition, WorkerEvents } from "@pup/core";
import type { WorkerHealth } from "./health.ts";

/** What a single run did with one consumer. */
export interface RunOnceOutcome {
  readonly consumer: string;
  /** `"held-elsewhere"`: a live worker has it, so it was left alone. */
  readonly outcome: "caught-up" | "held-elsewhere" | "interrupted";
  /** Where it stands now; null when it was left alone. */
  readonly position: GlobalPosition | null;
  /** Events it handled in this run. */
  readonly events: number;
}

/**
 * Runs consumers together with any number of other workers on the same database: each consumer in exactly one of them.
 * A worker starts once; make a new one to start again.
 */
export interface Worker {
  /** A fresh UUID. */
  readonly id: string;
  readonly events: EventSource<WorkerEvents>;

  /**
   * Runs until the signal aborts or {@link Worker.stop} is called. Resolves when everything has drained and is closed;
   * a second call returns the same promise.
   *
   * @throws {@link SchemaMissingError} or {@link SchemaTooNewError} when the tables are not what this version needs
   * @throws {@link StartAbortedError} when the database could not be reached until the signal aborted
   * @throws {@link InvalidStateError} after `runOnce`
   */
  start(options?: { readonly signal?: AbortSignal }): Promise<void>;

  /**
   * Begins no batch any more, lets running ones finish (for at most `shutdownTimeoutMs`), hands the consumers back and
   * closes what the worker opened. Resolves when that is done; twice is fine. Errors are the business of `start` and `runOnce`.
   *
   * Resolves within `shutdownTimeoutMs` and 5 seconds whatever the database does, on a line that is dead, too: what could not be
   * handed back then goes to others when this worker counts as dead.
   */
  stop(): Promise<void>;

  /**
   * Processes what is in the log now, then returns: for a cron job or a script. Takes every consumer that no live worker has.
   *
   * @throws what made a consumer fail too often, as an `AggregateError` when there are several, after the others have finished
   * @throws {@link InvalidStateError} after `start` or an earlier `runOnce`
   */
  runOnce(options?: { readonly signal?: AbortSignal }): Promise<readonly RunOnceOutcome[]>;

  /** How it is doing, for probes and alarms. Costs nothing: it asks nobody. */
  health(): WorkerHealth;
}
