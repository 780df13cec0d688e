import type {
  CheckpointStore,
  DeadLetter,
  DeadLetters,
  EventLog,
  GlobalPosition,
  RecordedEvent,
  WorkerEvents,
} from "@pup/core";
import type { EventRecording } from "../record-events.ts";

/** How things stand after the last step. */
export interface ConsumerOutcome<Store> {
  /** Where everything was written: `store.table("orders")` in memory, `store.transaction(…)` everywhere. */
  readonly store: Store;
  /** How many events the consumer has handled and committed, in all steps. Dead letters that were handled later do not count. */
  readonly handled: number;
  /** All events in scope at or below it are done with; `0n` when there is no checkpoint. */
  readonly checkpoint: GlobalPosition;
  /** What the consumer went on without, in position order. */
  readonly deadLetters: readonly DeadLetter[];
  /** Events in the log that came from the consumer, or whoever else appended beside the test's own steps. */
  readonly appended: readonly RecordedEvent[];
  /** What the worker has emitted in all steps: every failed attempt among it. */
  readonly recorded: EventRecording<WorkerEvents>;
}

/** What to tell the outcome from. */
export interface OutcomeFacts<Store> {
  readonly store: Store;
  readonly consumer: string;
  readonly recorded: EventRecording<WorkerEvents>;
  /** Ids of the events that the test has appended itself. */
  readonly own: ReadonlySet<string>;
}

const PAGE = { limit: 1_000, maxBytes: 2 ** 30 };

/** Reads how things stand. */
export async function readOutcome<Store extends EventLog & CheckpointStore & DeadLetters>(
  facts: OutcomeFacts<Store>,
): Promise<ConsumerOutcome<Store>> {
  const { store, consumer, recorded, own } = facts;
  const [checkpoint] = await store.readCheckpoints([consumer]);
  const committed = recorded.of("batch:committed").reduce((sum, { events }) => sum + events, 0);
  const waiting = recorded.of("dead-letter:queued").reduce((sum, { events }) => sum + events, 0);
  return {
    store,
    handled: committed - waiting,
    checkpoint: checkpoint?.position ?? 0n,
    deadLetters: await store.listDeadLetters({ consumer, limit: PAGE.limit }),
    appended: (await readWholeLog(store)).filter(({ id }) => !own.has(id)),
    recorded,
  };
}

async function readWholeLog(log: EventLog): Promise<readonly RecordedEvent[]> {
  const upTo = await log.latestPosition();
  const events: RecordedEvent[] = [];
  for (let after = 0n; after < upTo; ) {
    const page = await log.readLog({ after, upTo, ...PAGE });
    events.push(...(await page.events()));
    after = page.through;
  }
  return events;
}
