import {
  type Clock,
  type Consumer,
  type ConsumerSettings,
  checkInteger,
  type Dispatcher,
  defineConsumer,
  type FailurePolicy,
  InvalidOptionError,
  type Logger,
  type Randomness,
  silentLogger,
  systemClock,
  systemRandomness,
  type WorkerStore,
} from "@pup/core";

/** What a worker is made of. Every {@link ConsumerSettings} given here holds for all consumers that do not set their own. */
export interface WorkerOptions<Tx = unknown> extends ConsumerSettings {
  /** Where events, checkpoints and the other workers are found. The caller made it and closes it. */
  readonly store: WorkerStore<Tx>;
  /** What wakes the consumers. The worker starts and stops it; one dispatcher serves one worker. */
  readonly dispatcher: Dispatcher;
  /** Consumers whose code this worker has. Their names must differ. */
  readonly consumers: readonly Consumer<Tx>[];
  /** Where people read what happens. @defaultValue silent */
  readonly logger?: Logger | undefined;

  /**
   * Time between two looks for new events when nothing wakes the worker, in milliseconds; one query for all its consumers.
   * Doubles while nothing is found.
   *
   * @defaultValue `1_000`
   */
  readonly pollIntervalMs?: number | undefined;
  /** Longest time between two such looks, in milliseconds: what a lost wake-up costs at most. @defaultValue `30_000` */
  readonly maxPollIntervalMs?: number | undefined;
  /** How often the worker reports to be alive, in milliseconds. @defaultValue `5_000` */
  readonly heartbeatIntervalMs?: number | undefined;
  /**
   * Silence after which a worker counts as dead, in milliseconds. Leave room for a few missed heartbeats: too tight a value
   * moves consumers around on every slow query. A process that dies is noticed much sooner where sessions can hold locks.
   *
   * @defaultValue `30_000`
   */
  readonly heartbeatTimeoutMs?: number | undefined;
  /** How often the leader compares the deal with what it should be, in milliseconds; it reacts to news at once. @defaultValue `5_000` */
  readonly rebalanceIntervalMs?: number | undefined;
  /**
   * How often a worker tries to become leader or proves that it is, in milliseconds; up to a tenth longer, by chance, so that
   * workers which were started together do not ask together.
   *
   * @defaultValue `500`
   */
  readonly electionIntervalMs?: number | undefined;
  /** How often the leader looks who is alive, in milliseconds. @defaultValue `250` */
  readonly livenessIntervalMs?: number | undefined;
  /** How often a worker asks what to run when no notification tells it, in milliseconds; up to a tenth longer. @defaultValue `1_000` */
  readonly assignmentPollMs?: number | undefined;
  /** Time that running batches get to finish when the worker stops or a consumer moves, in milliseconds. @defaultValue `30_000` */
  readonly shutdownTimeoutMs?: number | undefined;
  /** Trouble that lasts longer than this turns the worker's health red, in milliseconds. @defaultValue `30_000` */
  readonly unhealthyAfterMs?: number | undefined;
  /**
   * Memory for pages of the log that are read ahead of consumers, or kept for those of them that come later, in bytes, for all
   * consumers of the worker together. `0` reads each batch when it is needed.
   *
   * @defaultValue `16_777_216` (16 MiB)
   */
  readonly readAheadBytes?: number | undefined;
  /** Leave consumers where they are as far as evenness allows, instead of dealing round-robin by name. @defaultValue `false` */
  readonly sticky?: boolean | undefined;

  /** Time. For tests. @defaultValue the system's */
  readonly clock?: Clock | undefined;
  /** Chance. For tests. @defaultValue the system's */
  readonly random?: Randomness | undefined;
}

/** Consumer settings with nothing left open. */
export type ResolvedSettings = {
  readonly [Name in keyof ConsumerSettings]-?: NonNullable<ConsumerSettings[Name]>;
};

/** A consumer, and how to run it. */
export interface ResolvedConsumer<Tx> {
  readonly consumer: Consumer<Tx>;
  readonly settings: ResolvedSettings;
}

/** Worker options with nothing left open. */
export type ResolvedOptions<Tx> = {
  readonly [Name in keyof Omit<WorkerOptions<Tx>, "consumers" | keyof ConsumerSettings>]-?: NonNullable<
    WorkerOptions<Tx>[Name]
  >;
} & {
  /** By name. */
  readonly consumers: ReadonlyMap<string, ResolvedConsumer<Tx>>;
};

/** What a worker does unless told otherwise. */
export const workerDefaults = {
  batchSize: 100,
  maxBatchSize: 1_000,
  maxBatchBytes: 8 * 1024 * 1024,
  batchPauseMs: 0,
  batchTimeoutMs: 30_000,
  maxConsecutiveFailures: 5,
  retryBackoffMs: 100,
  maxRetryBackoffMs: 30_000,
  onFailure: "stop",
  pollIntervalMs: 1_000,
  maxPollIntervalMs: 30_000,
  heartbeatIntervalMs: 5_000,
  heartbeatTimeoutMs: 30_000,
  rebalanceIntervalMs: 5_000,
  electionIntervalMs: 500,
  livenessIntervalMs: 250,
  assignmentPollMs: 1_000,
  shutdownTimeoutMs: 30_000,
  unhealthyAfterMs: 30_000,
  readAheadBytes: 16 * 1024 * 1024,
  sticky: false,
} as const satisfies Partial<WorkerOptions>;

const POLICIES: readonly FailurePolicy[] = ["stop", "skip", "park"];

/**
 * Fills in defaults and checks everything once.
 *
 * @throws {@link InvalidOptionError} naming the option, what was expected and what was found
 */
export function resolveWorkerOptions<Tx>(options: WorkerOptions<Tx>): ResolvedOptions<Tx> {
  const {
    store,
    dispatcher,
    logger = silentLogger,
    clock = systemClock,
    random = systemRandomness,
    sticky = workerDefaults.sticky,
  } = options;
  requireObject("store", store, "runBatch");
  requireObject("dispatcher", dispatcher, "start");
  requireObject("logger", logger, "warn");

  const whole = (name: NumericOption, min = 1) => checkInteger(name, options[name] ?? workerDefaults[name], { min });
  const resolved = {
    store,
    dispatcher,
    logger,
    clock,
    random,
    sticky,
    pollIntervalMs: whole("pollIntervalMs"),
    maxPollIntervalMs: whole("maxPollIntervalMs"),
    heartbeatIntervalMs: whole("heartbeatIntervalMs"),
    heartbeatTimeoutMs: whole("heartbeatTimeoutMs"),
    rebalanceIntervalMs: whole("rebalanceIntervalMs"),
    electionIntervalMs: whole("electionIntervalMs"),
    livenessIntervalMs: whole("livenessIntervalMs"),
    assignmentPollMs: whole("assignmentPollMs"),
    shutdownTimeoutMs: whole("shutdownTimeoutMs"),
    unhealthyAfterMs: whole("unhealthyAfterMs"),
    readAheadBytes: whole("readAheadBytes", 0),
  };
  requireAbove("heartbeatTimeoutMs", resolved.heartbeatTimeoutMs, "heartbeatIntervalMs", resolved.heartbeatIntervalMs);
  requireAtLeast("maxPollIntervalMs", resolved.maxPollIntervalMs, "pollIntervalMs", resolved.pollIntervalMs);

  return { ...resolved, consumers: resolveConsumers(options.consumers, resolveSettings(options, workerDefaults)) };
}

type NumericOption = {
  [Name in keyof typeof workerDefaults]: (typeof workerDefaults)[Name] extends number ? Name : never;
}[keyof typeof workerDefaults];

function resolveConsumers<Tx>(consumers: readonly Consumer<Tx>[], settings: ResolvedSettings) {
  if (!Array.isArray(consumers) || consumers.length === 0) {
    throw new InvalidOptionError("Expected `consumers` to be a list of at least one consumer.");
  }
  const byName = new Map<string, ResolvedConsumer<Tx>>();
  for (const consumer of consumers) {
    defineConsumer(consumer);
    if (byName.has(consumer.name)) {
      throw new InvalidOptionError(
        `Expected the names of \`consumers\` to differ, but two are called "${consumer.name}".`,
      );
    }
    byName.set(consumer.name, { consumer, settings: resolveSettings(consumer, settings, `${consumer.name}: `) });
  }
  return byName;
}

function resolveSettings(given: ConsumerSettings, fallback: ResolvedSettings, owner = ""): ResolvedSettings {
  const whole = (name: Exclude<keyof ConsumerSettings, "onFailure">, min = 1) =>
    checkInteger(`${owner}${name}`, given[name] ?? fallback[name], { min });
  const settings = {
    batchSize: whole("batchSize"),
    // Who names a size wants it kept, unless they name a larger one as well.
    maxBatchSize: checkInteger(`${owner}maxBatchSize`, given.maxBatchSize ?? given.batchSize ?? fallback.maxBatchSize),
    maxBatchBytes: whole("maxBatchBytes"),
    batchPauseMs: whole("batchPauseMs", 0),
    batchTimeoutMs: whole("batchTimeoutMs"),
    maxConsecutiveFailures: whole("maxConsecutiveFailures"),
    retryBackoffMs: whole("retryBackoffMs"),
    maxRetryBackoffMs: whole("maxRetryBackoffMs"),
    onFailure: checkPolicy(`${owner}onFailure`, given.onFailure ?? fallback.onFailure),
  };
  requireAtLeast(`${owner}maxBatchSize`, settings.maxBatchSize, "batchSize", settings.batchSize);
  requireAtLeast(`${owner}maxRetryBackoffMs`, settings.maxRetryBackoffMs, "retryBackoffMs", settings.retryBackoffMs);
  return settings;
}

function checkPolicy(name: string, policy: FailurePolicy): FailurePolicy {
  if (POLICIES.includes(policy)) return policy;
  const expected = POLICIES.map((known) => JSON.stringify(known)).join(" or ");
  throw new InvalidOptionError(`Expected \`${name}\` to be ${expected}, got ${JSON.stringify(policy)}.`);
}

function requireObject(name: string, value: unknown, method: string): void {
  if (typeof (value as Record<string, unknown> | undefined)?.[method] !== "function") {
    throw new InvalidOptionError(
      `Expected \`${name}\` to be an object with a method \`${method}\`, got ${typeof value}.`,
    );
  }
}

function requireAbove(name: string, value: number, other: string, otherValue: number): void {
  if (value <= otherValue) {
    throw new InvalidOptionError(`Expected \`${name}\` to exceed \`${other}\` (${otherValue}), got ${value}.`);
  }
}

function requireAtLeast(name: string, value: number, other: string, otherValue: number): void {
  if (value < otherValue) {
    throw new InvalidOptionError(`Expected \`${name}\` to be at least \`${other}\` (${otherValue}), got ${value}.`);
  }
}
