import {
  backOffMs,
  type CheckpointStore,
  type Clock,
  createWakeUp,
  type Logger,
  type Randomness,
  sleep,
  type WorkerStore,
} from "@pup/core";

/** What the queue needs. */
export interface TakeOverQueueOptions {
  readonly workerId: string;
  readonly store: Pick<CheckpointStore, "acquirable"> & Pick<WorkerStore, "isTransient">;
  readonly heartbeatTimeoutMs: number;
  readonly shutdownTimeoutMs: number;
  readonly clock: Clock;
  readonly random: Randomness;
  readonly logger: Logger;
}

/** A consumer in the queue. */
export interface Candidate {
  readonly consumer: string;
  /** Leaves the queue when it aborts. */
  readonly signal: AbortSignal;
  /** Told when the database could not be asked. */
  readonly onTrouble: () => void;
}

/**
 * Where the consumers of a worker wait that others still have. One question serves all who wait, however many they are: what
 * a fleet asks while consumers change hands grows with its workers alone.
 */
export interface TakeOverQueue {
  /**
   * Runs `take` when the consumer can be taken, as far as that is known: few at once, so that hundreds that come free together
   * do not fill the pool that batches need.
   *
   * @returns null when the signal aborted before
   */
  enter<T>(candidate: Candidate, take: () => Promise<T>): Promise<T | null>;
}

interface Waiting extends Candidate {
  /** Its turn has come. */
  readonly call: () => void;
}

/** Most take-overs at once. As many as a store has connections for transactions by default: more would only queue there. */
const AT_ONCE = 5;

/** Least time between two questions, in milliseconds, whoever comes meanwhile. */
const LEAST_PAUSE_MS = 100;
const ASK_AGAIN = { initialMs: LEAST_PAUSE_MS, maxMs: 500 };
const STORE_BACK_OFF = { initialMs: LEAST_PAUSE_MS, maxMs: 5_000 };

/** Creates the queue of one worker. */
export function createTakeOverQueue(options: TakeOverQueueOptions): TakeOverQueue {
  const { workerId, store, heartbeatTimeoutMs, clock, random, logger } = options;
  const claim = { workerId, claim: "assigned", graceMs: options.shutdownTimeoutMs, heartbeatTimeoutMs } as const;
  /** Who waits until it can be taken. */
  const waiting = new Map<string, Waiting>();
  /** Who can be taken, and waits for its turn. */
  const ready = new Map<string, Waiting>();
  const arrivals = createWakeUp(clock);
  let taking = 0;
  let askedAt = Number.NEGATIVE_INFINITY;
  /** Ends the questions when nobody waits any more; null while nobody does. */
  let asking: AbortController | null = null;

  function callNext(): void {
    for (const [consumer, { call }] of ready) {
      if (taking >= AT_ONCE) return;
      ready.delete(consumer);
      taking += 1;
      call();
    }
  }

  /** @returns whether anybody's turn has come */
  async function ask(): Promise<boolean> {
    askedAt = clock.now();
    const free = await store.acquirable({ ...claim, consumers: [...waiting.keys()] });
    for (const consumer of free) {
      const candidate = waiting.get(consumer);
      if (!candidate) continue;
      waiting.delete(consumer);
      ready.set(consumer, candidate);
    }
    callNext();
    return free.length > 0;
  }

  async function askUntil(ended: AbortSignal): Promise<void> {
    let refusals = 0;
    let failures = 0;
    while (!ended.aborted) {
      // A worker is given many consumers in one moment, and asks for all of them together.
      await sleep(clock, Math.max(0, askedAt + LEAST_PAUSE_MS - clock.now()), ended);
      if (ended.aborted) return;
      const token = arrivals.token();
      let pauseMs: number;
      try {
        refusals = (await ask()) ? 1 : refusals + 1;
        failures = 0;
        pauseMs = backOffMs(refusals, ASK_AGAIN, random);
      } catch (error) {
        failures += 1;
        pauseMs = backOffMs(failures, STORE_BACK_OFF, random);
        for (const { onTrouble } of waiting.values()) onTrouble();
        const level = store.isTransient(error) ? "debug" : "warn";
        logger[level]({ err: error, consumers: waiting.size, attempt: failures }, "could not be taken over yet");
      }
      if (waiting.size === 0) stopAsking();
      else await arrivals.wait(token, pauseMs, ended);
    }
  }

  function stopAsking(): void {
    asking?.abort();
    asking = null;
  }

  function add(candidate: Waiting): void {
    waiting.set(candidate.consumer, candidate);
    arrivals.ring();
    if (asking) return;
    asking = new AbortController();
    void askUntil(asking.signal);
  }

  function turnOf(candidate: Candidate): Promise<boolean> {
    const { consumer, signal } = candidate;
    return new Promise((resolve) => {
      const settle = (called: boolean) => {
        signal.removeEventListener("abort", leave);
        resolve(called);
      };
      const leave = () => {
        waiting.delete(consumer);
        ready.delete(consumer);
        if (waiting.size === 0) stopAsking();
        settle(false);
      };
      signal.addEventListener("abort", leave, { once: true });
      add({ ...candidate, call: () => settle(true) });
    });
  }

  return {
    async enter(candidate, take) {
      if (candidate.signal.aborted || !(await turnOf(candidate))) return null;
      try {
        return await take();
      } finally {
        taking -= 1;
        callNext();
      }
    },
  };
}
