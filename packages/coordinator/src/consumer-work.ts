import {
  type Clock,
  type Consumer,
  type EventSink,
  type GlobalPosition,
  type Logger,
  type RecordedEvent,
  sleep,
  type WorkerEvents,
  type WorkerStore,
} from "@pup/core";
import { nextBatchSize } from "./batch-size.ts";
import { createHandleBatch } from "./batches.ts";
import type { CheckpointSaver } from "./checkpoint-saver.ts";
import { createDeadLetterDesk } from "./dead-letter-desk.ts";
import type { LogPlace, LogReader, ReadBatch } from "./log-reader.ts";
import type { ResolvedSettings } from "./options.ts";
import { isFatal, type Setbacks } from "./setbacks.ts";
import type { SettledTracker } from "./settled-tracker.ts";
import type { Ownership } from "./take-over.ts";
import { boundBatch, type FailedBatch, type Trouble } from "./trouble.ts";

/** What works through the log for one consumer. */
export interface ConsumerWorkOptions<Tx> {
  readonly consumer: Consumer<Tx>;
  readonly settings: ResolvedSettings;
  readonly store: WorkerStore<Tx>;
  readonly tracker: SettledTracker;
  readonly reader: LogReader;
  readonly saver: CheckpointSaver;
  readonly setbacks: Setbacks;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly events: EventSink<WorkerEvents>;
}

/** When the work ends. */
export interface WorkLimits {
  /** No new batch once it aborts; the running one finishes. */
  readonly drain: AbortSignal;
  /** The running batch is given up once it aborts. */
  readonly abandon: AbortSignal;
  /** Work until this position is reached, instead of until told to stop. */
  readonly target?: GlobalPosition;
}

/** The work of a consumer that runs here. */
export interface ConsumerWork {
  /** Events handled so far. */
  readonly handled: number;
  /** Some of its dead letters are due: they are handled before the next batch. */
  noteDeadLettersDue(): void;
  /**
   * Reads, handles and commits batch after batch, until the limits are met. Failures are recovered from as long as they may be.
   *
   * @throws {@link GivenUp} when the consumer is to stop; what nothing may be tried again after
   */
  run(limits: WorkLimits, held: Ownership): Promise<void>;
}

/** One run of the work. */
interface Shift extends WorkLimits {
  readonly held: Ownership;
  readonly place: LogPlace;
}

/** The batch that was being handled when something failed; null when it was none. */
type Failed = Pick<FailedBatch, "events" | "at"> | null;

/** An event failed too often, and its consumer is to stop. */
export class GivenUp extends Error {
  override readonly name = "GivenUp";
  readonly trouble: Trouble;

  constructor(trouble: Trouble) {
    super("An event failed too often.");
    this.trouble = trouble;
  }
}

/** Creates the work of one consumer. */
export function createConsumerWork<Tx>(options: ConsumerWorkOptions<Tx>): ConsumerWork {
  const { consumer, settings, tracker, reader, saver, setbacks, clock, events } = options;
  const { name } = consumer;
  const handle = createHandleBatch(options);
  const desk = createDeadLetterDesk({ ...options, handle, isFatal });
  const isNarrow = consumer.aggregateTypes !== undefined || consumer.eventTypes !== undefined;
  const sizes = { min: settings.batchSize, max: settings.maxBatchSize };
  let batchSize = sizes.min;
  let handled = 0;
  let interrupt: AbortController | null = null;

  async function run(limits: WorkLimits, held: Ownership): Promise<void> {
    const place = reader.open(consumer);
    try {
      await work({ ...limits, held, place });
    } finally {
      place.close();
    }
  }

  async function work(shift: Shift): Promise<void> {
    const { held, drain, abandon } = shift;
    let isOpen = false;
    let toldCaughtUp = false;
    while (!drain.aborted) {
      let failed: Failed = null;
      try {
        if (!isOpen) await desk.open();
        isOpen = true;
        if (desk.isDue) {
          await desk.retryNext(held, abandon);
          setbacks.noteSuccess(held.position);
          continue;
        }
        if (shift.target !== undefined && held.position >= shift.target) return;
        shift.place.moveTo(held.position);
        const settled = tracker.position;
        if (settled !== null && held.position < settled) {
          toldCaughtUp = false;
          await workOn(shift, settled, (batch) => {
            failed = batch;
          });
          continue;
        }
        if (settled !== null && !toldCaughtUp) {
          events.emit("consumer:caught-up", { consumer: name, position: held.position });
          toldCaughtUp = true;
        }
        await rest(held.position, drain);
      } catch (error) {
        if (abandon.aborted) return;
        if (error instanceof GivenUp || isFatal(error)) throw error;
        batchSize = sizes.min;
        await setbacks.recover(error, failed, held, drain);
      }
    }
  }

  /** Takes the consumer over the next batch. `note` is told what is being handled, for the case that it fails. */
  async function workOn(shift: Shift, settled: GlobalPosition, note: (batch: Failed) => void): Promise<void> {
    const { held, drain, abandon, target = settled } = shift;
    const batch = await readBatch(shift, target < settled ? target : settled);
    const [first] = batch.events;
    if (first === undefined) saver.note(name, held.epoch, batch.through);
    else if (setbacks.givenUp?.culprit === first.globalPosition) {
      await giveUp(setbacks.givenUp, first, held, abandon);
    } else {
      note({ events: batch.events, at: null });
      await handleBatch(batch, held, abandon, (at) => note({ events: batch.events, at }));
    }
    held.position = batch.through;
    setbacks.noteSuccess(batch.through);
    if (first !== undefined && settings.batchPauseMs > 0) await sleep(clock, settings.batchPauseMs, drain);
  }

  /** Waits until there is something to do. */
  async function rest(position: GlobalPosition, drain: AbortSignal): Promise<void> {
    const resting = new AbortController();
    const rise = () => resting.abort();
    drain.addEventListener("abort", rise, { once: true });
    if (drain.aborted) rise();
    interrupt = resting;
    await tracker.waitAbove(position, resting.signal, isNarrow ? "some" : "all");
    interrupt = null;
    drain.removeEventListener("abort", rise);
  }

  function readBatch({ held, place }: Shift, readable: GlobalPosition): Promise<ReadBatch> {
    const after = held.position;
    const { trouble } = setbacks;
    const bounds = boundBatch(trouble, after, { upTo: readable, limit: batchSize });
    const request = { after, ...bounds, maxBytes: settings.maxBatchBytes };
    // An event that fails may have been mended in the database meanwhile.
    if (trouble?.culprit === bounds.upTo) return reader.readAnew({ ...request, scope: consumer });
    return place.read({ ...request, readable });
  }

  async function handleBatch(
    { events: batch, through }: ReadBatch,
    held: Ownership,
    signal: AbortSignal,
    onEvent: (event: RecordedEvent | null) => void,
  ): Promise<void> {
    const startedAt = clock.now();
    const attempt = (setbacks.trouble?.tries ?? 0) + 1;
    const onHandled = (durationMs: number) => {
      batchSize = nextBatchSize(batchSize, { events: batch.length, durationMs }, sizes);
    };
    handled += await desk.handlePage({ held, events: batch, to: through, attempt, signal, onEvent, onHandled });
    events.emit("batch:committed", {
      consumer: name,
      epoch: held.epoch,
      events: batch.length,
      position: through,
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

  return {
    get handled() {
      return handled;
    },
    noteDeadLettersDue() {
      desk.noteDue();
      interrupt?.abort();
    },
    run,
  };
}
