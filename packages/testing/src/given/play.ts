import {
  type Consumer,
  type ConsumerSettings,
  createEvents,
  type Logger,
  type NewEvent,
  type WorkerEvents,
} from "@pup/core";
import { forwardEvents } from "../forward-events.ts";
import { createManualDispatcher } from "../manual-dispatcher.ts";
import { recordEvents } from "../record-events.ts";
import type { CreateWorker } from "../worker-under-test.ts";
import { loseCommits } from "./lose-commits.ts";
import { type ConsumerOutcome, readOutcome } from "./outcome.ts";
import type { ConsumerTestStore, Stage } from "./stage.ts";

/** How the consumer is run in a step. Settings hold for this step, and the consumer's own come first. */
export interface StepSettings extends ConsumerSettings {
  /**
   * Delivers every batch twice: the first time its commit is lost after the events were handled, as when the connection breaks or
   * the process dies. What was written through `tx` is undone, effects elsewhere happen again.
   *
   * @defaultValue `false`
   */
  readonly redeliver?: boolean | undefined;
}

/** What happens before the consumer runs: events that are appended, or something else that is done with the store. */
export type Happening<Store> = readonly NewEvent[] | ((store: Store) => unknown);

/** One run of the consumer. */
export interface Step<Store> {
  readonly happening: Happening<Store>;
  readonly settings: StepSettings;
}

/** A test, written down. */
export interface Script<Tx, Store> {
  readonly given: readonly NewEvent[];
  /** A function gets the store: for a consumer that appends. */
  readonly consumer: Consumer<Tx> | ((store: Store) => Consumer<Tx>);
  readonly steps: readonly Step<Store>[];
}

/** What came of it. */
export interface Played<Store> {
  readonly outcome: ConsumerOutcome<Store>;
  /** What stopped the consumer in the last step; null when nothing did. */
  readonly stop: { readonly error: unknown } | null;
}

/** Plays a test on a stage, and leaves the stage open. */
export async function play<Tx, Store extends ConsumerTestStore<Tx>>(
  { given, consumer: declared, steps }: Script<Tx, Store>,
  stage: Stage<Store>,
  { createWorker, logger }: { readonly createWorker: CreateWorker<Tx>; readonly logger: Logger },
): Promise<Played<Store>> {
  const { store, handlers, clock, random } = stage;
  const consumer = typeof declared === "function" ? declared(store) : declared;
  const events = createEvents<WorkerEvents>();
  const recorded = recordEvents<WorkerEvents>(events);
  const own = new Set<string>();

  /** One by one, as they happened: of any aggregates. */
  const append = async (happened: readonly NewEvent[]) => {
    for (const event of happened) {
      const result = await stage.run(store.append([event]));
      for (const { id } of result.events) own.add(id);
    }
  };

  /** A worker of its own for each step: whatever has stopped starts again. */
  const run = async ({ redeliver = false, ...settings }: StepSettings): Promise<Played<Store>["stop"]> => {
    const worker = createWorker({
      ...settings,
      store: redeliver ? loseCommits(store) : store,
      dispatcher: createManualDispatcher(),
      consumers: [handlers.watch(consumer, "the worker", stage.isRealTime ? withoutWaiting : {})],
      clock,
      random,
      logger,
    });
    forwardEvents<WorkerEvents>(worker.events, events);
    const failures = recorded.of("consumer:failed").length;
    try {
      await stage.run(worker.runOnce());
      return null;
    } catch (error) {
      if (recorded.of("consumer:failed").length === failures) throw error;
      return { error };
    }
  };

  await append(given);
  let stop: Played<Store>["stop"] = null;
  for (const { happening, settings } of steps) {
    if (typeof happening === "function") await stage.run(Promise.resolve(happening(store)));
    else await append(happening);
    stop = await run(settings);
  }
  return { stop, outcome: await readOutcome({ store, consumer: consumer.name, recorded, own }) };
}

/** Attempts follow each other at once where waiting would cost real time. */
const withoutWaiting = { retryBackoffMs: 1, maxRetryBackoffMs: 1, batchPauseMs: 0 } satisfies ConsumerSettings;
