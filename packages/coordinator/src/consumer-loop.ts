import {
  type Clock,
  type Consumer,
  type EventSink,
  type GlobalPosition,
  isPupError,
  type Logger,
  type LogPage,
  type OutageLog,
  type Randomness,
  type RecordedEvent,
  sleep,
  type WorkerEvents,
  type WorkerStore,
} from "@pup/core";
import { createHandleBatch } from "./batches.ts";
import type { CheckpointSaver } from "./checkpoint-saver.ts";
import { createDeadLetterDesk } from "./dead-letter-desk.ts";
import type { ResolvedSettings } from "./options.ts";
import { createSetbacks, isFatal } from "./setbacks.ts";
import type { SettledTracker } from "./settled-tracker.ts";
import { createTakeOver, type Ownership } from "./take-over.ts";
import type { TakeOverQueue } from "./take-over-queue.ts";
import { boundBatch, type FailedBatch, type Trouble } from "./trouble.ts";

/** What runs one consumer. */
export interface ConsumerLoopOptions<Tx> {
  readonly consumer: Consumer<Tx>;
  readonly settings: ResolvedSettings;
  readonly workerId: string;
  /** How the consumer is claimed: given by the leader, or taken because nobody has it. */
  readonly claim: "assigned" | "unowned";
  readonly store: WorkerStore<Tx>;
  readonly tracker: SettledTracker;
  readonly queue: TakeOverQueue;
  readonly saver: CheckpointSaver;
  readonly heartbeatTimeoutMs: number;
  readonly shutdownTimeoutMs: number;
  readonly clock: Clock;
  readonly random: Randomness;
  readonly logger: Logger;
  /** Where faults of the database are told, for all consumers of the worker. */
  readonly outages: OutageLog;
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
  /** How often the events at hand have failed. */
  readonly failures: number;
  /** How long nothing but errors has come of it, transient ones included, in milliseconds; 0 when the last try went well. */
  readonly failingForMs: number;
  /** What failed last since it was taken over, even if that has been overcome; null when nothing has. */
  readonly lastError: unknown;
  /** Some of its dead letters are due: they are handled before the next batch. */
  noteDeadLettersDue(): void;
  /** Takes the consumer over, and runs it. Never rejects. */
  run(run: ConsumerRun): Promise<ConsumerOutcome>;
}

/** An event failed too often, and its consumer is to stop. */
class GivenUp extends Error {
  override readonly name = "GivenUp";
  readonly trouble: Trouble;

  constructor(trouble: Trouble) {
    super("An event failed too often.");
    this.trouble = trouble;
  }
}

/** Creates the loop of one consumer. */
export function createConsumerLoop<Tx>(options: ConsumerLoopOptions<Tx>): ConsumerLoop {
  const { consumer, settings, store, tracker, saver, clock, events } = options;
  const { name } = consumer;
  const logger = withConsumer(options.logger, name);
  const takeOver = createTakeOver({
    ...options,
    consumer: consumer as Consumer<never>,
    batchTimeoutMs: settings.batchTimeoutMs,
    logger,
    onTrouble: () => setbacks.noteFailing(),
  });
  const handle = createHandleBatch({ ...options, logger });
  const desk = createDeadLetterDesk({ ...options, handle, logger, isFatal });
  const setbacks = createSetbacks({ ...options, consumer: name, logger });
  let owned: Ownership | null = null;
  let handled = 0;
  let interrupt: AbortController | null = null;

  async function process(run: ConsumerRun, held: Ownership): Promise<void> {
    let isOpen = false;
    let toldCaughtUp = false;
    while (!run.drain.aborted) {
      let failed: Pick<FailedBatch, "events" | "at"> | null = null;
      try {
        if (!isOpen) await desk.open();
        isOpen = true;
        if (desk.isDue) {
          await desk.retryNext(held, run.abandon);
          setbacks.noteSuccess(held.position);
          continue;
        }
        if (run.target !== undefined && held.position >= run.target) return;
        const settled = tracker.position;
        if (settled === null || held.position >= settled) {
          if (settled !== null && !toldCaughtUp) {
            events.emit("consumer:caught-up", { consumer: name, position: held.position });
            toldCaughtUp = true;
          }
          await rest(held.position, run.drain);
          continue;
        }
        toldCaughtUp = false;
        const page = await readPage(
          held.position,
          run.target !== undefined && run.target < settled ? run.target : settled,
        );
        const [first] = page.events;
        if (first === undefined) saver.note(name, held.epoch, page.through);
        else if (setbacks.givenUp?.culprit === first.globalPosition) {
          await giveUp(setbacks.givenUp, first, held, run.abandon);
        } else {
          failed = { events: page.events, at: null };
          await handlePage(page, held, run.abandon, (at) => {
            failed = { events: page.events, at };
          });
        }
        held.position = page.through;
        setbacks.noteSuccess(page.through);
        if (first !== undefined && settings.batchPauseMs > 0) await sleep(clock, settings.batchPauseMs, run.drain);
      } catch (error) {
        if (run.abandon.aborted) return;
        if (error instanceof GivenUp || isFatal(error)) throw error;
        await setbacks.recover(error, failed, held, run.drain);
      }
    }
  }

  /** Waits until there is something to do. */
  async function rest(position: GlobalPosition, drain: AbortSignal): Promise<void> {
    const resting = new AbortController();
    const rise = () => resting.abort();
    drain.addEventListener("abort", rise, { once: true });
    if (drain.aborted) rise();
    interrupt = resting;
    await tracker.waitAbove(position, resting.signal);
    interrupt = null;
    drain.removeEventListener("abort", rise);
  }

  function readPage(after: GlobalPosition, upTo: GlobalPosition): Promise<LogPage> {
    const bounds = boundBatch(setbacks.trouble, after, { upTo, limit: settings.batchSize });
    return store.readLog({ after, ...bounds, maxBytes: settings.maxBatchBytes, scope: consumer });
  }

  async function handlePage(
    page: LogPage,
    held: Ownership,
    signal: AbortSignal,
    onEvent: (event: RecordedEvent | null) => void,
  ): Promise<void> {
    const { epoch } = held;
    const startedAt = clock.now();
    const attempt = (setbacks.trouble?.tries ?? 0) + 1;
    handled += await desk.handlePage({ held, events: page.events, to: page.through, attempt, signal, onEvent });
    events.emit("batch:committed", {
      consumer: name,
      epoch,
      events: page.events.length,
      position: page.through,
      durationMs: clock.now() - startedAt,
    });
  }

  /** @throws what the event failed with, when the consumer is to stop */
  async function giveUp(given: Trouble, event: RecordedEvent, held: Ownership, signal: AbortSignal): Promise<void> {
    const { onFailure } = settings;
    if (onFailure === "stop") throw new GivenUp(given);
    const failedForMs = clock.now() - given.firstFailedAt;
    await desk.giveUp({ held, event, parked: onFailure === "park", trouble: given, failedForMs, signal });
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

  async function fail(reason: unknown): Promise<ConsumerOutcome> {
    const position = owned?.position ?? 0n;
    const [error, attempts] =
      reason instanceof GivenUp
        ? [reason.trouble.error, reason.trouble.failures]
        : [reason, Math.max(1, setbacks.failures)];
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
      return setbacks.failures;
    },
    get failingForMs() {
      return setbacks.failingForMs;
    },
    get lastError() {
      return setbacks.lastError;
    },

    noteDeadLettersDue() {
      desk.noteDue();
      interrupt?.abort();
    },

    async run(run) {
      while (!run.drain.aborted) {
        try {
          owned = await takeOver(run.drain);
          if (!owned) break;
          setbacks.reset();
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
