import type { AggregateRef, GlobalPosition, RecordedEvent } from "./event.ts";

/** What an attempt to handle an event came to. The event's payload is never part of it, unless the handler put it there. */
export interface DeadLetterFailure {
  readonly message: string;
  /** Where it came from, causes included; null when nobody knows. */
  readonly stack: string | null;
}

/** An event that a consumer went on without. */
export interface DeadLetter {
  readonly consumer: string;
  readonly position: GlobalPosition;
  readonly eventId: string;
  readonly eventType: string;
  readonly aggregateType: string;
  readonly aggregateId: string;
  /**
   * True when its aggregate waits with it: later events of the aggregate become letters as well, until the first of them has
   * been handled or discarded. False for an event that was skipped.
   */
  readonly parked: boolean;
  /** How often it was handled in vain; 0 for an event that only waits behind another one of its aggregate. */
  readonly attempts: number;
  /** What the last attempt came to; null when there was none. */
  readonly failure: DeadLetterFailure | null;
  /** Both by the database's clock; null when there was no attempt. */
  readonly firstFailedAt: Date | null;
  readonly lastFailedAt: Date | null;
  /** It is handled again as soon as the consumer's worker gets to it. */
  readonly due: boolean;
}

/** A letter to be written. */
export interface NewDeadLetter {
  readonly event: RecordedEvent;
  readonly parked: boolean;
  /** Null for an event that waits behind another one. */
  readonly failure: (DeadLetterFailure & { readonly attempts: number; readonly firstFailedAgoMs: number }) | null;
}

/** Some letters of one consumer: all of them, unless narrowed. */
export interface DeadLetterSelection {
  readonly consumer: string;
  readonly positions?: readonly GlobalPosition[] | undefined;
  readonly aggregate?: AggregateRef | undefined;
}

/** Which letters to list. */
export interface DeadLetterQuery {
  /** @defaultValue all consumers */
  readonly consumer?: string | undefined;
  readonly aggregate?: AggregateRef | undefined;
  /** The last letter of the page before. @defaultValue from the beginning */
  readonly after?: Pick<DeadLetter, "consumer" | "position"> | undefined;
  /** Most letters in one page. @defaultValue `100` */
  readonly limit?: number | undefined;
}

/** For people and their tools: what consumers went on without, and what is to become of it. */
export interface DeadLetters {
  /** Lists letters by consumer and position. */
  listDeadLetters(query?: DeadLetterQuery): Promise<readonly DeadLetter[]>;
  /**
   * Has letters handled again, by the worker that runs their consumer, in position order, each in a transaction of its own. Of a
   * parked aggregate it begins with the first one, whichever was selected, and goes on through all that wait behind it. What
   * fails once more stays a letter, and keeps its aggregate parked.
   *
   * @returns how many are due now; of a parked aggregate that is the first one
   */
  retryDeadLetters(selection: DeadLetterSelection): Promise<number>;
  /**
   * Gives letters up: they are deleted, and never handled. What waits behind the first one of a parked aggregate is due then.
   * Waits for a batch of the consumer that is under way.
   *
   * @returns how many were deleted
   */
  discardDeadLetters(selection: DeadLetterSelection): Promise<number>;
}

/** For the worker that runs a consumer. */
export interface DeadLetterQueue {
  /** Whether any aggregate of the consumer is parked, and whether any letter is due. */
  lookForDeadLetters(consumer: string): Promise<{ readonly parked: boolean; readonly due: boolean }>;
  /** The due letter with the lowest position; null when none is due. */
  nextDueDeadLetter(consumer: string): Promise<DeadLetter | null>;
}

/** What a batch does with the letters of its consumer: part of its transaction, hence true only together with its checkpoint. */
export interface BatchDeadLetters {
  /** Which of these aggregates are parked; null when none of the consumer's is. */
  parkedAmong(aggregates: readonly AggregateRef[]): Promise<readonly AggregateRef[] | null>;
  /** Writes letters. One that is there already, from before a reset, is written anew unless this one only waits. */
  put(letters: readonly NewDeadLetter[]): Promise<void>;
  /**
   * Takes a letter away that is being handled after all. The next one of a parked aggregate is due then.
   *
   * @returns false when it has been discarded meanwhile
   */
  resolve(position: GlobalPosition): Promise<boolean>;
  /** Notes that a due letter failed once more. It is due no longer. */
  fail(position: GlobalPosition, failure: DeadLetterFailure): Promise<void>;
}
