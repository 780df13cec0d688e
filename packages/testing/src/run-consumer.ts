import {
  type Consumer,
  type HandlerContext,
  InvalidStateError,
  type Logger,
  type NewEvent,
  type RecordedEvent,
  silentLogger,
  type TransactionalConsumer,
} from "@pup/core";
import { createMemoryStore } from "./memory/create-memory-store.ts";
import type { MemoryTransaction } from "./memory/memory-transaction.ts";

/** Settings of {@link runConsumer}. */
export interface RunConsumerOptions {
  /** What the handler is told about how often the batch was tried. @defaultValue `1` */
  readonly attempt?: number;
  /** Where the handler's log goes. @defaultValue nowhere */
  readonly logger?: Logger;
  /** Aborts the handler. @defaultValue never */
  readonly signal?: AbortSignal;
}

/** What a consumer did. */
export interface ConsumerRun {
  /** How many events it has handled, batches that failed left out. Events outside of its scope do not count. */
  readonly handled: number;
  /** What it threw: the batch was rolled back and the run ended there. Undefined when all went well. */
  readonly error: unknown;
  /** Rows that it has committed to a table of `tx`, by key. */
  table<Row>(name: string): ReadonlyMap<string, Row>;
}

/**
 * Runs a consumer over events, batch by batch as a worker would, in memory.
 *
 * The events are appended one after the other first: the consumer sees them with positions and versions, and payloads as JSON
 * brings them back. A batch that fails is rolled back, and ends the run: nothing is tried again.
 *
 * @param events - what happened, in this order; of any aggregates
 * @param options - with `tx`, the consumer gets that instead of a transaction of the in-memory store: a double of your own for
 * consumers that speak SQL
 *
 * @example
 * ```ts
 * const run = await runConsumer(orders, [orderPlaced, orderPaid]);
 * expect(run.table("orders").get("o-1")).toEqual({ paid: true });
 * ```
 */
export async function runConsumer(
  consumer: Consumer<MemoryTransaction>,
  events: readonly NewEvent[],
  options?: RunConsumerOptions,
): Promise<ConsumerRun>;
export async function runConsumer<Tx>(
  consumer: Consumer<Tx>,
  events: readonly NewEvent[],
  options: RunConsumerOptions & { readonly tx: Tx },
): Promise<ConsumerRun>;
export async function runConsumer<Tx>(
  consumer: Consumer<Tx | MemoryTransaction>,
  events: readonly NewEvent[],
  options: RunConsumerOptions & { readonly tx?: Tx } = {},
): Promise<ConsumerRun> {
  const { attempt = 1, logger = silentLogger, signal = new AbortController().signal, tx } = options;
  const { name, batchSize = 100, maxBatchBytes = 8_388_608, startFrom = "beginning" } = consumer;
  if (startFrom !== "beginning" && typeof startFrom !== "bigint") {
    throw new InvalidStateError(
      'Expected `startFrom` to be "beginning" or a position: nothing has happened before these events.',
    );
  }

  const store = createMemoryStore();
  for (const event of events) await store.append([event]);
  const upTo = await store.latestPosition();
  const context: HandlerContext = { consumer: name, signal, logger, attempt, epoch: 1 };
  let handled = 0;
  let error: unknown;

  for (let after = startFrom === "beginning" ? 0n : startFrom; after < upTo; ) {
    const page = await store.readLog({ after, upTo, limit: batchSize, maxBytes: maxBatchBytes, scope: consumer });
    if (page.events.length > 0) {
      try {
        await store.transaction((own) => handlePage(consumer, page.events, context, tx ?? own));
      } catch (thrown) {
        error = thrown ?? new InvalidStateError(`The handler rejected with ${thrown} instead of an error.`);
        break;
      }
    }
    handled += page.events.length;
    after = page.through;
  }
  return { handled, error, table: (table) => store.table(table) };
}

async function handlePage<Tx>(
  consumer: Consumer<Tx>,
  events: readonly RecordedEvent[],
  context: HandlerContext,
  tx: Tx,
): Promise<void> {
  // A consumer without a transaction gets none: what it takes for one then fails in the test and not in production.
  const given = (consumer.transaction === "none" ? context : { ...context, tx }) as HandlerContext & {
    readonly tx: Tx;
  };
  const { handle, handleBatch } = consumer as TransactionalConsumer<Tx>;
  if (handleBatch) await handleBatch.call(consumer, events, given);
  else for (const event of events) await handle?.call(consumer, event, given);
}
