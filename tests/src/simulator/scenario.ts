import type { WorkerOptions } from "@pup/coordinator";
import type { EventScope, FailurePolicy, StartFrom } from "@pup/core";
import type { Chance } from "./chance.ts";

/** A consumer of a simulated application. */
export interface ConsumerPlan extends EventScope {
  readonly name: string;
  readonly startFrom: StartFrom;
  /** Handles all events of a batch at once. */
  readonly inBulk: boolean;
  /** Has its effects outside of any transaction. */
  readonly isDetached: boolean;
  readonly onFailure: FailurePolicy;
  readonly maxConsecutiveFailures: number;
}

/** How often things go wrong as long as they may, each as a probability of one operation. */
export interface FaultRates {
  /** A statement never arrives, and its connection is lost. */
  readonly lostRequest: number;
  /** A statement takes effect, but its answer is lost, and so is its connection. */
  readonly lostAnswer: number;
  /** A statement, or its answer, takes long: see {@link Scenario.slowMs}. */
  readonly slowOperation: number;
  readonly lostSignal: number;
  readonly lateSignal: number;
  readonly repeatedSignal: number;
  /** A handler takes long. */
  readonly slowEvent: number;
  readonly failingEvent: number;
  /** An event is one that some consumers cannot handle. */
  readonly poison: number;
  /** A process dies, or stands still, at one of the moments of a batch. */
  readonly deathInBatch: number;
  readonly pauseInBatch: number;
}

/** Worker options that a scenario decides. */
export type ScenarioOptions = Required<
  Pick<
    WorkerOptions,
    | "batchSize"
    | "maxBatchSize"
    | "readAheadBytes"
    | "batchTimeoutMs"
    | "heartbeatIntervalMs"
    | "heartbeatTimeoutMs"
    | "rebalanceIntervalMs"
    | "electionIntervalMs"
    | "livenessIntervalMs"
    | "assignmentPollMs"
    | "shutdownTimeoutMs"
    | "sticky"
  >
>;

/** What a seed stands for, before anything happens. */
export interface Scenario {
  readonly consumers: readonly ConsumerPlan[];
  /** Versions of the application: names of the consumers that each has. The newest, with all of them, is the last. */
  readonly releases: readonly (readonly string[])[];
  /** How many workers run when nothing is wrong. */
  readonly workers: number;
  /** How long things go wrong, in milliseconds. */
  readonly roughMs: number;
  /** Whether sessions can hold locks; false is life behind a transaction pooler. */
  readonly sessionLocks: boolean;
  /** How long a leader's lease lasts where sessions hold no locks, in milliseconds. */
  readonly leaseDurationMs: number;
  /** How many of the appends draw their positions now and commit later, or never, from 0 to 1. */
  readonly slowAppends: number;
  /** Whether some of them stay open for up to half a minute. */
  readonly longAppends: boolean;
  readonly options: ScenarioOptions;
  readonly rates: FaultRates;
  /** Longest time of a slow operation, in milliseconds. */
  readonly slowMs: number;
  /** Longest time between two faults, in milliseconds. */
  readonly faultEveryMs: number;
  /** Longest time between two appends, in milliseconds. */
  readonly appendEveryMs: number;
}

/** Where the longest runs end, in milliseconds of virtual time. */
const LONGEST_MS = 600_000;
const SHORTEST_MS = 120_000;

/** How many events every application appends at the end, at least: who begins at one of these positions can begin one day. */
export const LAST_BURST = 5;

/** Draws a scenario. */
export function drawScenario(chance: Chance): Scenario {
  const consumers = Array.from({ length: chance.whole(1, 12) }, (_, index) => drawConsumer(chance, index + 1));
  const heartbeatTimeoutMs = chance.pick([10_000, 30_000]);
  const batchSize = chance.pick([1, 3, 10, 100]);
  // Some seeds are rough in one respect and calm in another, so that faults meet undisturbed operations too.
  const rate = (worst: number) => (chance.happens(0.4) ? 0 : chance.between(0, worst));
  return {
    consumers,
    releases: drawReleases(
      chance,
      consumers.map(({ name }) => name),
    ),
    workers: chance.whole(1, 7),
    // Most lives are short: many of them find more than a few long ones.
    roughMs: chance.between(SHORTEST_MS, chance.happens(1 / 8) ? LONGEST_MS : SHORTEST_MS * 1.25),
    sessionLocks: chance.happens(0.7),
    leaseDurationMs: chance.pick([6_000, 10_000]),
    // Each worker looks at an open hole many times a second: most of what a run costs.
    slowAppends: chance.pick([0.1, 0.2, 0.3]),
    longAppends: chance.happens(0.2),
    options: {
      batchSize,
      maxBatchSize: batchSize * chance.pick([1, 10]),
      // Plenty, too little for most pages, and none: then each consumer reads its own batches.
      readAheadBytes: chance.pick([16 * 1024 * 1024, 2_000, 0]),
      batchTimeoutMs: chance.pick([5_000, 30_000]),
      heartbeatIntervalMs: heartbeatTimeoutMs / 5,
      heartbeatTimeoutMs,
      rebalanceIntervalMs: 5_000,
      electionIntervalMs: chance.pick([500, 2_000]),
      livenessIntervalMs: chance.pick([250, 1_000]),
      assignmentPollMs: chance.pick([1_000, 3_000]),
      shutdownTimeoutMs: chance.pick([5_000, 30_000]),
      sticky: chance.happens(0.3),
    },
    rates: {
      lostRequest: rate(0.01),
      lostAnswer: rate(0.01),
      slowOperation: rate(0.2),
      lostSignal: rate(0.5),
      lateSignal: rate(0.5),
      repeatedSignal: rate(0.2),
      slowEvent: rate(0.05),
      failingEvent: rate(0.05),
      poison: rate(0.1),
      deathInBatch: rate(0.005),
      pauseInBatch: rate(0.01),
    },
    slowMs: chance.pick([20, 500, 8_000]),
    faultEveryMs: chance.pick([5_000, 20_000, 60_000]),
    appendEveryMs: chance.pick([3_000, 8_000]),
  };
}

/** Failures that no consumer reaches. */
const NEVER = 1_000_000;

/** Whether a consumer tries for ever, whatever fails. */
export function isPatient({ maxConsecutiveFailures }: ConsumerPlan): boolean {
  return maxConsecutiveFailures === NEVER;
}

function drawConsumer(chance: Chance, number: number): ConsumerPlan {
  const scopes: EventScope[] = [{}, {}, { aggregateTypes: ["Order"] }, { eventTypes: ["Placed"] }];
  const onFailure = chance.pick(["stop", "skip", "park", "park"] as const);
  return {
    name: `c${String(number).padStart(2, "0")}`,
    startFrom: drawStart(chance),
    inBulk: chance.happens(0.3),
    isDetached: chance.happens(0.2),
    onFailure,
    // Who stops stands still for long: most of those are to see some more of their world.
    maxConsecutiveFailures: onFailure === "stop" && chance.happens(0.7) ? NEVER : chance.whole(1, 3),
    ...chance.pick(scopes),
  };
}

function drawStart(chance: Chance): StartFrom {
  const kind = chance.pickWeighted({ beginning: 15, head: 3, position: 1, time: 1 });
  if (kind === "position") return BigInt(chance.whole(1, LAST_BURST));
  // The store's clock begins at 0, in 1970.
  if (kind === "time") return new Date(chance.whole(0, SHORTEST_MS));
  return kind;
}

/** The newest release has every consumer; older ones lack some, but never all. */
function drawReleases(chance: Chance, names: readonly string[]): readonly (readonly string[])[] {
  const older = Array.from({ length: chance.whole(0, 2) }, () => {
    const kept = names.filter(() => chance.happens(0.7));
    return kept.length > 0 ? kept : names.slice(0, 1);
  });
  return [...older, names];
}
