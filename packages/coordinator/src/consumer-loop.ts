import {
  backOffMs,
  type Clock,
  type Consumer,
  type EventSink,
  FencedError,
  type GlobalPosition,
  isPupError,
  type Logger,
  type LogPage,
  type Randomness,
  type RecordedEvent,
  sleep,
  type WorkerEvents,
  type WorkerStore,
} from "@pup/core";
import type { CheckpointSaver } from "./checkpoint-saver.ts";
import type { ResolvedSettings } from "./options.ts";
import { runHandler } from "./run-handler.ts";
import type { SettledTracker } from "./settled-tracker.ts";
import { createTakeOver, type Ownership } from "./take-over.ts";

/** What runs one consumer. */
export interface ConsumerLoopOptions<Tx> {
  readonly consumer: Consumer<Tx>;
  readonly settings: ResolvedSettings;
  readonly workerId: string;
  /** How the consumer is claimed: given by the leader, or taken because nobody has it. */
  readonly claim: "assigned" | "unowned";
  readonly store: WorkerStore<Tx>;
  readonly tracker: SettledTracker;
  readonly saver: CheckpointSaver;
  readonly heartbeatTimeoutMs: number;
  readonly shutdownTimeoutMs: number;
  readonly clock: Clock;
  readonly random: Randomness;
  readonly logger: Logger;
  readonly events: EventSink<WorkerEvents>;
}

/** How a run of a consumer ended. */
export type ConsumerOutcome =
  /** Told to stop, having finished its batch and handed the consumer back. */
  | { readonly kind: "drained" }
  /** At the position it was to reach; only when there was one. */
  | { readonly kind: "reached"; readonly position: GlobalPosition; readonly events: number }
  /** Somebody else has it; only for a single run. */
  | { readonly kind: "not-ours" }
  /** Failed too often in a row, and stays where it is. */
  | { readonly kind: "failed"; readonly error: unknown; readonly position: GlobalPosition };

/** Why a consumer is told to stop. */
export type DrainReason = "stopped" | "reassigned";

/** When a run of a consumer ends. */
export interface ConsumerRun {
  /** No new batch once it aborts; the running one finishes. Its reason may be a {@link DrainReason}. */
  readonly drain: AbortSignal;
  /** The running batch is given up once it aborts. */
  readonly abandon: AbortSignal;
  /** Run until this position is reached, instead of until told to stop. */
  readonly target?: GlobalPosition;
}

/** One consumer in one worker. */
export interface ConsumerLoop {
  /** Where the consumer stands, as far as this worker knows; null while it does not own it. */
  readonly position: GlobalPosition | null;
  readonly epoch: number | null;
  /** Failures in a row of the batch at hand. */
  readonly failures: number;
  /** How long nothing but errors has come of it, transient ones included, in milliseconds; 0 when the last try went well. */
  readonly failingForMs: number;
  /** Takes the consumer over, and runs it. Never rejects. */
  run(run: ConsumerRun): Promise<ConsumerOutcome>;
}

/** Longest wait after faults of the database, in milliseconds. */
const MAX_TRANSIENT_BACK_OFF_MS = 5_000;

/** Creates the loop of one consumer. */
export function createConsumerLoop<Tx>(options: ConsumerLoopOptions<Tx>): ConsumerLoop {
  const { consumer, settings, store, tracker, saver, clock, random, events } = options;
  const { name } = consumer;
  const logger = withConsumer(options.logger, name);
  const takeOver = createTakeOver({
    ...options,
    consumer: consumer as Consumer<never>,
    logger,
    onTrouble: () => {
      failingSince ??= clock.now();
    },
  });
  let owned: Ownership | null = null;
  let failures = 0;
  let transientFailures = 0;
  let failingSince: number | null = null;
  let handled = 0;

  async function process(run: ConsumerRun, held: Ownership): Promise<void> {
    let toldCaughtUp = false;
    while (!run.drain.aborted) {
      if (run.target !== undefined && held.position >= run.target) return;
      const settled = tracker.position;
      if (settled === null || held.position >= settled) {
        if (settled !== null && !toldCaughtUp) {
          events.emit("consumer:caught-up", { consumer: name, position: held.position });
          toldCaughtUp = true;
        }
        await tracker.waitAbove(held.position, run.drain);
        continue;
      }
      toldCaughtUp = false;
      const upTo = run.target !== undefined && run.target < settled ? run.target : settled;
      try {
        const page = await store.readLog({
          after: held.position,
          upTo,
          limit: settings.batchSize,
          maxBytes: settings.maxBatchBytes,
          scope: consumer,
        });
        if (page.events.length > 0) await handlePage(page, held, run.abandon);
        else saver.note(name, held.epoch, page.through);
        held.position = page.through;
        failures = 0;
        transientFailures = 0;
        failingSince = null;
        if (page.events.length > 0 && settings.batchPauseMs > 0) await sleep(clock, settings.batchPauseMs, run.drain);
      } catch (error) {
        if (run.abandon.aborted) return;
        await recover(error, held, run.drain);
      }
    }
  }

  async function handlePage(page: LogPage, held: Ownership, signal: AbortSignal): Promise<void> {
    const { epoch } = held;
    const startedAt = clock.now();
    await saver.settle(name, epoch);
    if (consumer.transaction === "none") {
      await handleEvents(page.events, { epoch }, signal);
      const refused = await store.advance([{ consumer: name, epoch, position: page.through }]);
      if (refused.length > 0) throw new FencedError(name, epoch);
    } else {
      const batch = {
        consumer: name,
        epoch,
        from: held.position,
        to: page.through,
        timeoutMs: settings.batchTimeoutMs,
        signal,
      };
      await store.runBatch(batch, (tx) => handleEvents(page.events, { epoch, tx }, signal));
    }
    handled += page.events.length;
    events.emit("batch:committed", {
      consumer: name,
      epoch,
      events: page.events.length,
      position: page.through,
      durationMs: clock.now() - startedAt,
    });
  }

  function handleEvents(
    list: readonly RecordedEvent[],
    own: { epoch: number; tx?: Tx },
    signal: AbortSignal,
  ): Promise<void> {
    return runHandler({
      consumer: consumer as Consumer<never>,
      events: list,
      context: { consumer: name, logger, attempt: failures + 1, ...own },
      timeoutMs: settings.batchTimeoutMs,
      signal,
      clock,
      // A transaction is given up by the store, which first makes sure that nothing of it can happen any more.
      abandonable: consumer.transaction === "none",
    });
  }

  /** Waits until the next attempt, and finds out where to begin it. Throws what ends the run. */
  async function recover(error: unknown, held: Ownership, drain: AbortSignal): Promise<void> {
    if (isPupError(error) && (error.code === "PUP_FENCED" || error.code === "PUP_TRANSACTION_HIJACKED")) throw error;
    failingSince ??= clock.now();
    for (let cause = error; ; ) {
      const attempt = failures + 1;
      const transient = store.isTransient(cause);
      if (transient) transientFailures += 1;
      else failures += 1;
      if (failures >= settings.maxConsecutiveFailures) throw cause;

      // A database that was away is back for all at once: who had tried longest must not be the last to notice.
      const maxMs = Math.min(
        settings.maxRetryBackoffMs,
        transient ? MAX_TRANSIENT_BACK_OFF_MS : Number.POSITIVE_INFINITY,
      );
      const bounds = { initialMs: settings.retryBackoffMs, maxMs };
      const retryInMs = backOffMs(transient ? transientFailures : failures, bounds, random);
      events.emit("batch:failed", { consumer: name, error: cause, attempt, transient, retryInMs });
      logger.warn({ err: cause, attempt, transient, retryInMs }, "a batch failed; it is tried again");
      await sleep(clock, retryInMs, drain);
      if (drain.aborted) return;
      try {
        // The commit may have taken place although its answer was lost.
        const [checkpoint] = await store.readCheckpoints([name]);
        if (checkpoint?.epoch !== held.epoch) throw new FencedError(name, held.epoch);
        if (checkpoint.position > held.position) {
          held.position = checkpoint.position;
          failures = 0;
        }
        return;
      } catch (failed) {
        if (isPupError(failed) && failed.code === "PUP_FENCED") throw failed;
        cause = failed;
      }
    }
  }

  async function handBack(reason: WorkerEvents["consumer:released"]["reason"]): Promise<void> {
    if (!owned) return;
    const { epoch } = owned;
    owned = null;
    if (reason === "fenced") saver.forget(name);
    else {
      await saver
        .flush(name, epoch)
        .then(() => store.release([{ consumer: name, epoch }]))
        // Who comes next waits for the grace to pass, or for this worker to count as dead.
        .catch((error: unknown) => logger.debug({ err: error }, "could not be handed back"));
    }
    events.emit("consumer:released", { consumer: name, epoch, reason });
    logger.info({ epoch, reason }, "runs here no more");
  }

  async function fail(error: unknown): Promise<ConsumerOutcome> {
    const position = owned?.position ?? 0n;
    const attempts = Math.max(1, failures);
    await handBack("failed");
    events.emit("consumer:failed", { consumer: name, error, attempts, position });
    logger.error({ err: error, attempts, position: String(position) }, "has stopped; the others go on");
    return { kind: "failed", error, position };
  }

  return {
    get position() {
      return owned?.position ?? null;
    },
    get epoch() {
      return owned?.epoch ?? null;
    },
    get failures() {
      return failures;
    },
    get failingForMs() {
      return failingSince === null ? 0 : clock.now() - failingSince;
    },

    async run(run) {
      while (!run.drain.aborted) {
        try {
          owned = await takeOver(run.drain);
          if (!owned) break;
          failures = 0;
          failingSince = null;
          const { epoch, position } = owned;
          events.emit("consumer:acquired", { consumer: name, epoch, position });
          logger.info({ epoch, position: String(position) }, "runs here");
          await process(run, owned);
          if (run.target !== undefined && owned.position >= run.target) {
            const { position } = owned;
            await handBack("stopped");
            return { kind: "reached", position, events: handled };
          }
        } catch (error) {
          if (!isPupError(error) || error.code !== "PUP_FENCED") return fail(error);
          logger.warn({ err: error }, "was taken over by another worker");
          await handBack("fenced");
        }
      }
      await handBack(run.drain.reason === "reassigned" ? "reassigned" : "stopped");
      return run.drain.aborted ? { kind: "drained" } : { kind: "not-ours" };
    },
  };
}

function withConsumer(logger: Logger, consumer: string): Logger {
  const add =
    (method: Logger["info"]): Logger["info"] =>
    (facts, message) =>
      method.call(logger, { consumer, ...facts }, message);
  return { debug: add(logger.debug), info: add(logger.info), warn: add(logger.warn), error: add(logger.error) };
}
