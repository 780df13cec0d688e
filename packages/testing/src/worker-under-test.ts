import {
  type Clock,
  type Consumer,
  type ConsumerSettings,
  type Dispatcher,
  type EventSource,
  type GlobalPosition,
  InvalidOptionError,
  type Logger,
  type Randomness,
  type WorkerEvents,
  type WorkerStore,
} from "@pup/core";

/** What a worker is made of in a test. Settings of consumers are there where the test has given some. */
export interface WorkerParts<Tx> extends ConsumerSettings {
  readonly store: WorkerStore<Tx>;
  readonly dispatcher: Dispatcher;
  readonly consumers: readonly Consumer<Tx>[];
  readonly clock: Clock;
  readonly random: Randomness;
  readonly logger: Logger;
}

/** What tests ask of a worker. Those of `@pup/coordinator` have it. */
export interface WorkerUnderTest {
  readonly id: string;
  readonly events: EventSource<WorkerEvents>;
  start(): Promise<void>;
  stop(): Promise<void>;
  runOnce(): Promise<unknown>;
  health(): WorkerUnderTestHealth;
}

/** What tests ask of a worker's health. */
export interface WorkerUnderTestHealth {
  readonly state: "new" | "starting" | "running" | "stopping" | "stopped";
  readonly consumers: readonly {
    readonly name: string;
    readonly state: "idle" | "claiming" | "running" | "failed";
    readonly position: GlobalPosition | null;
    readonly lastError: unknown;
  }[];
}

/**
 * Makes a worker of its parts: `createWorker` of `@pup/coordinator` does. With settings of your own:
 * `(parts) => createWorker({ ...parts, sticky: true })`.
 */
export type CreateWorker<Tx, Worker extends WorkerUnderTest = WorkerUnderTest> = (parts: WorkerParts<Tx>) => Worker;

/** @throws {@link InvalidOptionError} when it is no function, and says which one to hand in */
export function checkCreateWorker(createWorker: unknown): void {
  if (typeof createWorker === "function") return;
  throw new InvalidOptionError(
    `Expected \`createWorker\` to be that of @pup/coordinator, or a function around it, got ${typeof createWorker}.`,
  );
}
