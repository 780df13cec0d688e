import {
  type Clock,
  type Consumer,
  type EventSink,
  type GlobalPosition,
  isPupError,
  type Logger,
  type OutageLog,
  type Randomness,
  type WorkerEvents,
  type WorkerStore,
} from "@pup/core";
import type { CheckpointSaver } from "./checkpoint-saver.ts";
import { createConsumerWork, GivenUp, type WorkLimits } from "./consumer-work.ts";
import type { LogReader } from "./log-reader.ts";
import type { ResolvedSettings } from "./options.ts";
import { createSetbacks } from "./setbacks.ts";
import type { SettledTracker } from "./settled-tracker.ts";
import { createTakeOver, type Ownership } from "./take-over.ts";
import type { TakeOverQueue } from "./take-over-queue.ts";

/** What runs one consumer. */
export interface ConsumerLoopOptions<Tx> {
  readonly consumer: Consumer<Tx>;
  readonly settings: ResolvedSettings;
  readonly workerId: string;
  /** How the consumer is claimed: given by the leader, or taken because nobody has it. */
  readonly claim: "assigned" | "unowned";
  readonly store: WorkerStore<Tx>;
  readonly tracker: SettledTracker;
  readonly reader: LogReader;
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
  /** Takes the consumer over, and runs it. The reason to drain may be a {@link DrainReason}. Never rejects. */
  run(limits: WorkLimits): Promise<ConsumerOutcome>;
}

/** Creates the loop of one consumer. */
export function createConsumerLoop<Tx>(options: ConsumerLoopOptions<Tx>): ConsumerLoop {
  const { consumer, settings, store, saver, events } = options;
  const { name } = consumer;
  const logger = withConsumer(options.logger, name);
  const takeOver = createTakeOver({
    ...options,
    consumer: consumer as Consumer<never>,
    batchTimeoutMs: settings.batchTimeoutMs,
    logger,
    onTrouble: () => setbacks.noteFailing(),
  });
  const setbacks = createSetbacks({ ...options, consumer: name, logger });
  const work = createConsumerWork({ ...options, setbacks, logger });
  let owned: Ownership | null = null;

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

    noteDeadLettersDue: work.noteDeadLettersDue,

    async run(limits) {
      const { drain, target } = limits;
      while (!drain.aborted) {
        try {
          owned = await takeOver(drain);
          if (!owned) break;
          setbacks.reset();
          const { epoch, position } = owned;
          events.emit("consumer:acquired", { consumer: name, epoch, position });
          logger.info({ epoch, position: String(position) }, "runs here");
          await work.run(limits, owned);
          if (target !== undefined && owned.position >= target) {
            const { position } = owned;
            await handBack("stopped");
            return { kind: "reached", position, events: work.handled };
          }
        } catch (error) {
          if (!isPupError(error) || error.code !== "PUP_FENCED") return fail(error);
          logger.warn({ err: error }, "was taken over by another worker");
          await handBack("fenced");
        }
      }
      await handBack(drain.reason === "reassigned" ? "reassigned" : "stopped");
      return drain.aborted ? { kind: "drained" } : { kind: "not-ours" };
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
