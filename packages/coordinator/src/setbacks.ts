import {
  backOffMs,
  type CheckpointStore,
  type Clock,
  type EventSink,
  FencedError,
  type GlobalPosition,
  isPupError,
  type Logger,
  type OutageLog,
  type Randomness,
  sleep,
  type WorkerEvents,
  type WorkerStore,
} from "@pup/core";
import type { ResolvedSettings } from "./options.ts";
import type { Ownership } from "./take-over.ts";
import { type FailedBatch, learnFrom, moveOn, type Trouble } from "./trouble.ts";

/** What recovering from failures needs. */
export interface SetbacksOptions {
  readonly consumer: string;
  readonly settings: ResolvedSettings;
  readonly store: Pick<CheckpointStore, "readCheckpoints"> & Pick<WorkerStore, "isTransient">;
  readonly clock: Clock;
  readonly random: Randomness;
  readonly logger: Logger;
  /** The worker's own for faults of the database: they hit all its consumers at once. */
  readonly outages: OutageLog;
  readonly events: EventSink<WorkerEvents>;
}

/** The failures of one consumer: how often, for how long, what they taught, and when to try again. */
export interface Setbacks {
  /** What failed batches have taught; null when the events at hand have not failed. */
  readonly trouble: Trouble | null;
  /** The same when its culprit has failed too often to be tried again. */
  readonly givenUp: Trouble | null;
  /** How often the events at hand have failed. */
  readonly failures: number;
  /** How long nothing but errors has come of it, transient ones included, in milliseconds; 0 when the last try went well. */
  readonly failingForMs: number;
  /** What failed last, even if that has been overcome; null when nothing has. */
  readonly lastError: unknown;
  noteFailing(): void;
  /** Something went well, and the consumer stands at that position. */
  noteSuccess(position: GlobalPosition): void;
  /** Forgets everything, for a new owner. */
  reset(): void;
  /**
   * Waits until the next attempt, and finds out where to begin it. Neither wake-ups nor news cut the wait short.
   *
   * @param failed - the batch whose events were being handled; null when it was none
   * @throws what ends the run
   */
  recover(
    error: unknown,
    failed: Pick<FailedBatch, "events" | "at"> | null,
    held: Ownership,
    drain: AbortSignal,
  ): Promise<void>;
}

/** Longest wait after faults of the database, in milliseconds: back for all at once, whoever had tried longest must not be last. */
const MAX_TRANSIENT_BACK_OFF_MS = 5_000;

/** Creates the setbacks of one consumer. */
export function createSetbacks(options: SetbacksOptions): Setbacks {
  const { consumer, settings, store, clock, random, logger, outages, events } = options;
  let trouble: Trouble | null = null;
  /** Failures in a row of what is none of an event's: reading the log, or writing a dead letter. */
  let otherFailures = 0;
  let transientFailures = 0;
  let failingSince: number | null = null;
  let lastError: unknown = null;

  function noteSuccess(position: GlobalPosition): void {
    if (transientFailures > 0) outages.works({ consumer }, "batches commit again");
    trouble = moveOn(trouble, position);
    otherFailures = 0;
    transientFailures = 0;
    failingSince = null;
  }

  function isGivenUp({ culprit, failures }: Trouble): boolean {
    return culprit !== null && failures >= settings.maxConsecutiveFailures;
  }

  /** @returns false when there is nothing to wait for: what failed is not tried again */
  function count(error: unknown, failed: Pick<FailedBatch, "events" | "at"> | null, transient: boolean): boolean {
    if (transient) transientFailures += 1;
    else if (failed === null) otherFailures += 1;
    else {
      const timedOut = isPupError(error) && error.code === "PUP_BATCH_TIMEOUT";
      trouble = learnFrom(trouble, { ...failed, timedOut, error, now: clock.now() });
      if (isGivenUp(trouble)) return false;
    }
    if (otherFailures >= settings.maxConsecutiveFailures) throw error;
    return true;
  }

  function retryInMs(transient: boolean): number {
    const initialMs = settings.retryBackoffMs;
    const maxMs = settings.maxRetryBackoffMs;
    if (transient) {
      return backOffMs(transientFailures, { initialMs, maxMs: Math.min(maxMs, MAX_TRANSIENT_BACK_OFF_MS) }, random);
    }
    // While the culprit is looked for, each part is tried for the first time.
    return backOffMs(Math.max(1, trouble?.failures ?? 0, otherFailures), { initialMs, maxMs }, random);
  }

  /** The commit may have taken place although its answer was lost. */
  async function readAgain(held: Ownership): Promise<void> {
    const [checkpoint] = await store.readCheckpoints([consumer]);
    if (checkpoint?.epoch !== held.epoch) throw new FencedError(consumer, held.epoch);
    if (checkpoint.position <= held.position) return;
    held.position = checkpoint.position;
    trouble = moveOn(trouble, held.position);
  }

  return {
    get trouble() {
      return trouble;
    },
    get givenUp() {
      return trouble !== null && isGivenUp(trouble) ? trouble : null;
    },
    get failures() {
      return (trouble?.tries ?? 0) + otherFailures;
    },
    get failingForMs() {
      return failingSince === null ? 0 : clock.now() - failingSince;
    },
    get lastError() {
      return lastError;
    },
    noteFailing() {
      failingSince ??= clock.now();
    },
    noteSuccess,
    reset() {
      trouble = null;
      otherFailures = 0;
      transientFailures = 0;
      failingSince = null;
      lastError = null;
    },

    async recover(error, failed, held, drain) {
      failingSince ??= clock.now();
      for (let cause = error, batch = failed; ; batch = null) {
        const attempt = (trouble?.tries ?? 0) + otherFailures + 1;
        const transient = store.isTransient(cause);
        lastError = cause;
        if (!count(cause, batch, transient)) return;
        const waitMs = retryInMs(transient);
        events.emit("batch:failed", { consumer, error: cause, attempt, transient, retryInMs: waitMs });
        if (transient) {
          outages.failed({ consumer, err: cause, retryInMs: waitMs }, "the database failed a batch; it is tried again");
        } else logger.warn({ err: cause, attempt, retryInMs: waitMs }, "a batch failed; it is tried again");
        await sleep(clock, waitMs, drain);
        if (drain.aborted) return;
        try {
          return await readAgain(held);
        } catch (failure) {
          if (isFatal(failure)) throw failure;
          cause = failure;
        }
      }
    },
  };
}

/** Another worker has the consumer, or its handler has broken the bond of effects and checkpoint: nothing may be tried again. */
export function isFatal(error: unknown): boolean {
  return isPupError(error) && (error.code === "PUP_FENCED" || error.code === "PUP_TRANSACTION_HIJACKED");
}
