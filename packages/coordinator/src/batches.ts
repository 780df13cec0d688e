import {
  type Batch,
  type BatchDeadLetters,
  type Clock,
  type Consumer,
  FencedError,
  type GlobalPosition,
  type Logger,
  type RecordedEvent,
  type WorkerStore,
} from "@pup/core";
import type { CheckpointSaver } from "./checkpoint-saver.ts";
import type { ResolvedSettings } from "./options.ts";
import { runHandler } from "./run-handler.ts";
import type { Ownership } from "./take-over.ts";

/** What handles the batches of one consumer. */
export interface BatchesOptions<Tx> {
  readonly consumer: Consumer<Tx>;
  readonly settings: ResolvedSettings;
  readonly store: WorkerStore<Tx>;
  readonly saver: CheckpointSaver;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Events to be handled in one go. */
export interface PendingBatch {
  readonly held: Ownership;
  readonly events: readonly RecordedEvent[];
  /** Where the consumer stands afterwards. */
  readonly to: GlobalPosition;
  /** How often the first of the events has been tried, this time included. */
  readonly attempt: number;
  /** Gives the batch up. */
  readonly signal: AbortSignal;
  /**
   * Reads and writes dead letters first, in the batch's transaction, which there is then also for a consumer without one. What
   * it returns is handled in place of `events`.
   */
  readonly sortOut?: ((letters: BatchDeadLetters) => Promise<readonly RecordedEvent[]>) | undefined;
  /** Told which event is about to be handled; null when all have been. */
  readonly onEvent?: ((event: RecordedEvent | null) => void) | undefined;
  /** Told how long the handler took, in milliseconds; not when it failed. */
  readonly onHandled?: ((durationMs: number) => void) | undefined;
}

/** Handles batches: effects and checkpoint together, or one after the other where a consumer wants no transaction. */
export type HandleBatch = (batch: PendingBatch) => Promise<void>;

/** Creates what handles the batches of one consumer. */
export function createHandleBatch<Tx>(options: BatchesOptions<Tx>): HandleBatch {
  const { consumer, settings, store, saver, clock, logger } = options;
  const { name } = consumer;
  const isDetached = consumer.transaction === "none";

  async function handleEvents(
    batch: PendingBatch,
    events: readonly RecordedEvent[],
    tx: Tx | undefined,
  ): Promise<void> {
    const { held, attempt, signal, onEvent } = batch;
    const startedAt = clock.now();
    await runHandler({
      consumer: consumer as Consumer<never>,
      events,
      context: { consumer: name, logger, attempt, epoch: held.epoch, ...(!isDetached && { tx }) },
      timeoutMs: settings.batchTimeoutMs,
      signal,
      clock,
      // A transaction is given up by the store, which first makes sure that nothing of it can happen any more.
      abandonable: isDetached,
      onEvent,
    });
    batch.onHandled?.(clock.now() - startedAt);
  }

  async function save(held: Ownership, position: GlobalPosition): Promise<void> {
    const { epoch } = held;
    const refused = await store.advance([{ consumer: name, epoch, position }]);
    if (refused.length > 0) throw new FencedError(name, epoch);
  }

  async function handleDetached(batch: PendingBatch): Promise<void> {
    const { held, events, to } = batch;
    let at: RecordedEvent | null = null;
    const onEvent = (event: RecordedEvent | null) => {
      at = event;
      batch.onEvent?.(event);
    };
    try {
      await handleEvents({ ...batch, onEvent }, events, undefined);
    } catch (error) {
      // What has been done outside cannot be taken back: at least it is not done again.
      const last = events[at === null ? -1 : events.indexOf(at) - 1];
      if (last !== undefined) {
        await save(held, last.globalPosition);
        held.position = last.globalPosition;
      }
      throw error;
    }
    await save(held, to);
  }

  return async (batch) => {
    const { held, events, to, signal, sortOut } = batch;
    await saver.settle(name, held.epoch);
    if (isDetached && sortOut === undefined) return handleDetached(batch);
    const fenced: Batch = {
      consumer: name,
      epoch: held.epoch,
      from: held.position,
      to,
      timeoutMs: settings.batchTimeoutMs,
      signal,
    };
    // A transaction can also end by itself, with its connection: then the handler has to know, or it goes on beside the next try.
    const over = new AbortController();
    const giveUp = () => over.abort(signal.reason);
    signal.addEventListener("abort", giveUp, { once: true });
    if (signal.aborted) giveUp();
    try {
      await store.runBatch(fenced, async (tx, letters) => {
        const list = sortOut === undefined ? events : await sortOut(letters);
        if (list.length > 0) await handleEvents({ ...batch, signal: over.signal }, list, tx);
      });
    } catch (error) {
      over.abort(error);
      throw error;
    } finally {
      signal.removeEventListener("abort", giveUp);
    }
  };
}
