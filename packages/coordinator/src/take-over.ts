import {
  type AcquireResult,
  backOffMs,
  type CheckpointStore,
  type Clock,
  type Consumer,
  type EventLog,
  type GlobalPosition,
  InvalidOptionError,
  isPupError,
  type Logger,
  type Randomness,
  sleep,
  type WorkerStore,
} from "@pup/core";
import type { SettledTracker } from "./settled-tracker.ts";
import type { TakeOverQueue } from "./take-over-queue.ts";

/** What a take-over needs. */
export interface TakeOverOptions {
  readonly consumer: Consumer<never>;
  readonly workerId: string;
  /** How the consumer is claimed: given by the leader, or taken because nobody has it. */
  readonly claim: "assigned" | "unowned";
  readonly store: EventLog & CheckpointStore & Pick<WorkerStore, "isTransient">;
  readonly tracker: SettledTracker;
  /** Where it waits until it can be taken. */
  readonly queue: TakeOverQueue;
  /** How long a batch of the owner before may take, in milliseconds. */
  readonly batchTimeoutMs: number;
  readonly heartbeatTimeoutMs: number;
  readonly shutdownTimeoutMs: number;
  readonly clock: Clock;
  readonly random: Randomness;
  readonly logger: Logger;
  /** Told when the database did not let it be taken over. */
  readonly onTrouble: () => void;
}

/** A consumer that runs here, under which epoch and how far it has come. */
export interface Ownership {
  readonly epoch: number;
  position: GlobalPosition;
}

/**
 * Takes a consumer over, as soon as it may be.
 *
 * @returns null when told to stop meanwhile, or when somebody else keeps it
 */
export type TakeOver = (drain: AbortSignal) => Promise<Ownership | null>;

const CLAIM_AGAIN = { initialMs: 100, maxMs: 500 };
const STORE_BACK_OFF = { initialMs: 100, maxMs: 5_000 };

/** Creates the take-over of one consumer. */
export function createTakeOver(options: TakeOverOptions): TakeOver {
  const { consumer, workerId, claim, store, tracker, queue, clock, random, logger } = options;
  const { name } = consumer;

  /** One try. */
  async function claimOnce(drain: AbortSignal): Promise<Ownership | "held" | "created"> {
    const answer = await acquire(drain);
    if (answer === null) return "held";
    if (answer.outcome === "acquired") return { epoch: answer.epoch, position: answer.position };
    if (answer.outcome !== "missing") return "held";
    const start = await startPosition(drain);
    if (start !== null) await store.createCheckpoint(name, start);
    return "created";
  }

  /** A single run takes what it can get and does not wait for the rest. */
  function acquire(drain: AbortSignal): Promise<AcquireResult | null> {
    const { batchTimeoutMs, heartbeatTimeoutMs, shutdownTimeoutMs: graceMs } = options;
    const request = { consumer: name, workerId, claim, graceMs, batchTimeoutMs, heartbeatTimeoutMs };
    const take = () => store.acquire(request);
    if (claim === "unowned") return take();
    return queue.enter({ consumer: name, signal: drain, onTrouble: options.onTrouble }, take);
  }

  async function startPosition(drain: AbortSignal): Promise<GlobalPosition | null> {
    const { startFrom = "beginning" } = consumer;
    if (startFrom === "beginning" || startFrom === 0n) return 0n;
    // Only settled positions may be saved: what lies above could still change. And what is settled so far can lie far below the
    // head of the log: while an append is open, a tracker that has just begun stands at the greatest checkpoint.
    await tracker.waitAbove((await store.latestPosition()) - 1n, drain);
    const head = tracker.position;
    if (drain.aborted || head === null) return null;
    if (startFrom === "head") return head;
    if (typeof startFrom === "bigint") {
      if (startFrom > 0n && startFrom <= head) return startFrom;
      throw new InvalidOptionError(
        `Expected \`startFrom\` of consumer "${name}" to lie between 0 and the head of the log (${head}), got ${startFrom}.`,
      );
    }
    const first = await store.firstPositionSince(startFrom);
    return first === null || first > head ? head : first - 1n;
  }

  return async (drain) => {
    for (let attempt = 1; !drain.aborted; attempt++) {
      try {
        const claimed = await claimOnce(drain);
        if (claimed === "created") continue;
        if (claimed !== "held") return claimed;
        if (claim === "unowned") return null;
        await sleep(clock, backOffMs(attempt, CLAIM_AGAIN, random), drain);
      } catch (error) {
        const transient = store.isTransient(error);
        const isWrongOption = isPupError(error) && error.code === "PUP_INVALID_OPTION";
        // Nothing of the consumer's own has run yet: whatever the database says, it is not the consumer that fails. But a single
        // run is to end.
        if (isWrongOption || (!transient && claim === "unowned")) throw error;
        options.onTrouble();
        logger[transient ? "debug" : "warn"]({ err: error, attempt }, "could not be taken over yet");
        await sleep(clock, backOffMs(attempt, STORE_BACK_OFF, random), drain);
      }
    }
    return null;
  };
}
