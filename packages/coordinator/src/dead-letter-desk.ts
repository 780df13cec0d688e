import {
  type AggregateRef,
  type Consumer,
  type DeadLetter,
  type EventSink,
  InvalidStateError,
  type Logger,
  type NewDeadLetter,
  type RecordedEvent,
  type WorkerEvents,
  type WorkerStore,
} from "@pup/core";
import type { HandleBatch, PendingBatch } from "./batches.ts";
import { describeFailure } from "./describe-failure.ts";
import type { LogReader } from "./log-reader.ts";
import type { Ownership } from "./take-over.ts";
import type { Trouble } from "./trouble.ts";

/** What deals with the dead letters of one consumer. */
export interface DeadLetterDeskOptions {
  readonly consumer: Pick<Consumer, "name">;
  readonly store: Pick<WorkerStore<never>, "lookForDeadLetters" | "nextDueDeadLetter" | "isTransient">;
  readonly reader: Pick<LogReader, "readAnew">;
  readonly handle: HandleBatch;
  readonly logger: Logger;
  readonly events: EventSink<WorkerEvents>;
  /** True for errors after which nothing may be tried any more. */
  readonly isFatal: (error: unknown) => boolean;
}

/** An event that failed too often. */
export interface GivenUpEvent {
  readonly held: Ownership;
  readonly event: RecordedEvent;
  readonly parked: boolean;
  readonly trouble: Trouble;
  readonly failedForMs: number;
  readonly signal: AbortSignal;
}

/** Writes letters, keeps events behind parked ones, and has due letters handled again. */
export interface DeadLetterDesk {
  /** Some letter is due: to be seen to before the next batch. */
  readonly isDue: boolean;
  /** Looks how things stand, for a consumer that has just been taken over. */
  open(): Promise<void>;
  /** Notes that some letter may have become due. */
  noteDue(): void;
  /** Handles a page of the log, and keeps events of parked aggregates back. @returns how many it handled */
  handlePage(batch: PendingBatch): Promise<number>;
  /** Makes a letter of an event and moves the consumer past it. */
  giveUp(given: GivenUpEvent): Promise<void>;
  /** Handles the next due letter. One that fails again stays; what says nothing about it rejects. */
  retryNext(held: Ownership, signal: AbortSignal): Promise<void>;
}

/** Creates the desk of one consumer. */
export function createDeadLetterDesk(options: DeadLetterDeskOptions): DeadLetterDesk {
  const { store, reader, handle, logger, events } = options;
  const consumer = options.consumer.name;
  let isDue = false;
  // Only this consumer's owner parks, so what it knows can be out of date in one way: too careful.
  let mayBeParked = false;

  async function handlePage(batch: PendingBatch): Promise<number> {
    if (!mayBeParked) {
      await handle(batch);
      return batch.events.length;
    }
    let waiting: readonly RecordedEvent[] = [];
    const sortOut: PendingBatch["sortOut"] = async (letters) => {
      const parked = await letters.parkedAmong(batch.events);
      mayBeParked = parked !== null;
      const isParked = (event: RecordedEvent) => parked?.some((aggregate) => isSame(aggregate, event)) ?? false;
      waiting = batch.events.filter(isParked);
      await letters.put(waiting.map((event): NewDeadLetter => ({ event, parked: true, failure: null })));
      return batch.events.filter((event) => !isParked(event));
    };
    await handle({ ...batch, sortOut });
    if (waiting.length > 0) {
      events.emit("dead-letter:queued", { consumer, events: waiting.length, position: batch.to });
      logger.debug({ events: waiting.length }, "events of parked aggregates wait");
    }
    return batch.events.length - waiting.length;
  }

  async function giveUp({ held, event, parked, trouble, failedForMs, signal }: GivenUpEvent): Promise<void> {
    const { error, failures: attempts } = trouble;
    const failure = { ...describeFailure(error), attempts, firstFailedAgoMs: failedForMs };
    const position = event.globalPosition;
    await handle({
      held,
      events: [],
      to: position,
      attempt: trouble.tries,
      signal,
      async sortOut(letters) {
        // Before it is written: the commit may take place without anybody hearing of it.
        mayBeParked ||= parked;
        await letters.put([{ event, parked, failure }]);
        return [];
      },
    });
    events.emit("dead-letter:added", { consumer, position, eventId: event.id, parked, error, attempts });
    logger.error(
      { err: error, attempts, position: String(position), eventId: event.id },
      parked ? "parked an event's aggregate; the others go on" : "skipped an event",
    );
  }

  async function retryNext(held: Ownership, signal: AbortSignal): Promise<void> {
    const letter = await store.nextDueDeadLetter(consumer);
    if (letter === null) {
      isDue = false;
      return;
    }
    const { position, attempts } = letter;
    try {
      if (!(await handleAgain(letter, held, signal))) return;
      events.emit("dead-letter:resolved", { consumer, position });
      logger.info({ position: String(position), attempts }, "handled a dead letter");
    } catch (error) {
      if (signal.aborted || options.isFatal(error) || store.isTransient(error)) throw error;
      await handle({
        held,
        events: [],
        to: held.position,
        attempt: attempts + 1,
        signal,
        async sortOut(letters) {
          await letters.fail(position, describeFailure(error));
          return [];
        },
      });
      events.emit("dead-letter:failed", { consumer, position, error });
      logger.error({ err: error, position: String(position), attempts: attempts + 1 }, "a dead letter failed again");
    }
  }

  /** @returns false when the letter was discarded meanwhile */
  async function handleAgain(
    { position, attempts }: DeadLetter,
    held: Ownership,
    signal: AbortSignal,
  ): Promise<boolean> {
    const [event] = (await reader.readAnew({ after: position - 1n, upTo: position, limit: 1, maxBytes: 1 })).events;
    if (event === undefined) throw new InvalidStateError(`There is no event at position ${position} any more.`);
    let found = false;
    await handle({
      held,
      events: [event],
      to: held.position,
      attempt: attempts + 1,
      signal,
      async sortOut(letters) {
        found = await letters.resolve(position);
        return found ? [event] : [];
      },
    });
    return found;
  }

  return {
    get isDue() {
      return isDue;
    },
    async open() {
      const found = await store.lookForDeadLetters(consumer);
      mayBeParked = found.parked;
      isDue = found.due;
    },
    noteDue() {
      isDue = true;
    },
    handlePage,
    giveUp,
    retryNext,
  };
}

function isSame(a: AggregateRef, b: AggregateRef): boolean {
  return a.aggregateType === b.aggregateType && a.aggregateId === b.aggregateId;
}
