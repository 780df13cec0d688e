import { type Consumer, type Logger, type NewEvent, silentLogger } from "@pup/core";
import type { VirtualTimeOptions } from "../harness/virtual-time.ts";
import type { MemoryStore } from "../memory/memory-store.ts";
import type { MemoryTransaction } from "../memory/memory-transaction.ts";
import { type CreateWorker, checkCreateWorker } from "../worker-under-test.ts";
import type { ConsumerOutcome } from "./outcome.ts";
import { type Happening, type Played, play, type Script, type StepSettings } from "./play.ts";
import { type ConsumerTestStore, type OpenedStore, openMemoryStage, openRealStage, type Stage } from "./stage.ts";

/** Begins a test: with what has happened before, in this order, of any aggregates. Nothing runs until the test is awaited. */
export type Given<Tx, Store> = (events: readonly NewEvent[]) => GivenEvents<Tx, Store>;

/** A test that knows what has happened. */
export interface GivenEvents<Tx, Store> {
  /**
   * The consumer handles what there is.
   *
   * @param consumer - or a function that makes it of the test's store, for one that appends
   */
  when(consumer: Consumer<Tx> | ((store: Store) => Consumer<Tx>), settings?: StepSettings): WhenHandled<Store>;
}

/** A test whose consumer has run. It is a promise: `await` it, or look at the outcome in `then`. */
export interface WhenHandled<Store> extends PromiseLike<ConsumerOutcome<Store>> {
  /**
   * Something more happens, and the consumer runs again: after a restart, as far as it can tell.
   *
   * @param happening - more events; or a function that does something with the store, such as
   * `(store) => store.retryDeadLetters({ consumer: "orders.v1" })`
   */
  when(happening: Happening<Store>, settings?: StepSettings): WhenHandled<Store>;
  /**
   * Plays the test, and hands the outcome to `check`. The store is closed when `check` is done.
   *
   * @throws what the consumer has thrown, when that stopped it in the last step; and what `check` throws
   */
  then<Result = ConsumerOutcome<Store>, Failure = never>(
    check?: ((outcome: ConsumerOutcome<Store>) => Result | PromiseLike<Result>) | null,
    onRejected?: ((reason: unknown) => Failure | PromiseLike<Failure>) | null,
  ): Promise<Result | Failure>;
  /**
   * Plays the test, whose consumer has to be stopped by an error in its last step, and hands that error to `check`.
   *
   * @throws an error when nothing has stopped the consumer; and what `check` throws
   */
  thenThrows(check?: (error: unknown, outcome: ConsumerOutcome<Store>) => unknown): Promise<void>;
}

/** Settings of {@link createGiven} for tests in memory. */
export interface GivenOptions<Tx> extends VirtualTimeOptions {
  /** `createWorker` of `@pup/coordinator`; or `(parts) => createWorker({ ...parts, batchSize: 10 })`. */
  readonly createWorker: CreateWorker<Tx>;
  /** Where workers log. @defaultValue silent */
  readonly logger?: Logger | undefined;
}

/** Settings of {@link createGiven} for tests on a store of the caller's, PostgreSQL above all. */
export interface GivenOnStoreOptions<Tx, Store> extends GivenOptions<Tx> {
  /** Opens an empty store: called for every test. */
  readonly open: () => Promise<OpenedStore<Store>>;
}

/**
 * Makes the word `given`, with which tests of consumers begin: `given(events).when(consumer).then(check)`.
 *
 * Every `when` runs the consumer in a worker, with everything that this brings in production: batches, transactions, attempts,
 * failure policies, dead letters, checkpoints. In memory and virtual time unless `open` gives another store; there waits between
 * attempts are left out.
 *
 * @example
 * ```ts
 * const given = createGiven({ createWorker });
 *
 * it("notes what was paid", () =>
 *   given([orderPlaced, orderPaid])
 *     .when(orders)
 *     .then(({ store }) => expect(store.table("orders").get("o-1")).toBe("paid")));
 * ```
 *
 * @throws {@link InvalidOptionError} when an option cannot work
 */
export function createGiven(options: GivenOptions<MemoryTransaction>): Given<MemoryTransaction, MemoryStore>;
export function createGiven<Tx, Store extends ConsumerTestStore<Tx>>(
  options: GivenOnStoreOptions<Tx, Store>,
): Given<Tx, Store>;
export function createGiven<Tx, Store extends ConsumerTestStore<Tx>>(
  options: GivenOptions<Tx> & Partial<GivenOnStoreOptions<Tx, Store>>,
): Given<Tx, Store> {
  const { createWorker, logger = silentLogger, open } = options;
  checkCreateWorker(createWorker);
  // Without `open` the types above say that the store is one in memory.
  const openStage = async () =>
    open ? openRealStage(await open()) : (openMemoryStage(options) as unknown as Stage<Store>);

  /** Plays the script and has its outcome looked at, before the store is closed. */
  async function perform<Result>(
    script: Script<Tx, Store>,
    look: (played: Played<Store>) => Result | PromiseLike<Result>,
  ): Promise<Result> {
    const stage = await openStage();
    try {
      return await look(await play(script, stage, { createWorker, logger }));
    } finally {
      await stage.close();
    }
  }

  function afterSteps(script: Script<Tx, Store>): WhenHandled<Store> {
    return {
      when: (happening, settings = {}) => afterSteps({ ...script, steps: [...script.steps, { happening, settings }] }),
      // biome-ignore lint/suspicious/noThenProperty: a test that is awaited without it is played all the same.
      then(check, onRejected) {
        const performed = perform(script, ({ outcome, stop }) => {
          if (stop) throw stop.error;
          return check ? check(outcome) : (outcome as never);
        });
        return onRejected ? performed.then(null, onRejected) : performed;
      },
      thenThrows: (check) =>
        perform(script, async ({ outcome, stop }) => {
          if (!stop) throw new Error(describeSuccess(outcome));
          await check?.(stop.error, outcome);
        }),
    };
  }

  return (given) => ({
    when: (consumer, settings = {}) => afterSteps({ given, consumer, steps: [{ happening: [], settings }] }),
  });
}

function describeSuccess({ handled, deadLetters, recorded }: ConsumerOutcome<unknown>): string {
  const last = recorded.of("batch:failed").at(-1);
  return (
    "Expected an error to stop the consumer, but none did. " +
    `Events it has handled: ${handled}; dead letters: ${deadLetters.length}; ` +
    `last error: ${last ? last.error : "none"}`
  );
}
