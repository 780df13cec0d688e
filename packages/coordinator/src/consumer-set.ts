import type { Logger } from "@pup/core";
import type { ConsumerLoop, ConsumerOutcome, DrainReason } from "./consumer-loop.ts";
import type { ConsumerHealth } from "./health.ts";

/** How one consumer is doing, without what is known of the log. */
export type ConsumerState = Omit<ConsumerHealth, "lag" | "lagMs">;

/** The consumers that run in this worker. */
export interface ConsumerSet {
  /**
   * Runs exactly these from now on. Those it runs no more finish their batch first.
   *
   * @param deadLettersDue - those of them of which some dead letters are to be handled again
   */
  apply(assigned: readonly string[], deadLettersDue?: readonly string[]): void;
  /** Begins no batch any more, waits for running ones, and gives them up when `abandon` aborts. Resolves when all have ended. */
  drain(abandon: AbortSignal): Promise<void>;
  health(): readonly ConsumerState[];
}

interface Running {
  readonly loop: ConsumerLoop;
  readonly drain: AbortController;
  readonly ended: Promise<void>;
}

/** Creates the set. `createLoop` makes what runs one consumer; `names` are the consumers whose code is here. */
export function createConsumerSet(
  names: readonly string[],
  createLoop: (name: string) => ConsumerLoop,
  logger: Logger,
): ConsumerSet {
  const running = new Map<string, Running>();
  const failed = new Map<string, ConsumerOutcome & { kind: "failed" }>();
  const abandon = new AbortController();
  let wanted: ReadonlySet<string> = new Set();
  let draining = false;

  function begin(name: string): void {
    const loop = createLoop(name);
    const drain = new AbortController();
    const ended = loop.run({ drain: drain.signal, abandon: abandon.signal }).then((outcome) => {
      running.delete(name);
      // A failed consumer stays here, stopped: it would fail on any other worker as well.
      if (outcome.kind === "failed") failed.set(name, outcome);
      reconcile();
    });
    running.set(name, { loop, drain, ended });
  }

  function reconcile(): void {
    for (const name of failed.keys()) if (!wanted.has(name)) failed.delete(name);
    for (const [name, { drain }] of running) {
      if (draining) drain.abort("stopped" satisfies DrainReason);
      else if (!wanted.has(name)) drain.abort("reassigned" satisfies DrainReason);
    }
    if (draining) return;
    for (const name of wanted) if (!running.has(name) && !failed.has(name)) begin(name);
  }

  function healthOf(name: string): ConsumerState {
    const nothing = { name, owned: false, position: null, epoch: null, failures: 0, failingForMs: 0, lastError: null };
    const failure = failed.get(name);
    if (failure) return { ...nothing, state: "failed", position: failure.position, lastError: failure.error };
    const { loop } = running.get(name) ?? {};
    if (!loop) return { ...nothing, state: "idle" };
    const { position, epoch, failures, failingForMs, lastError } = loop;
    const owned = epoch !== null;
    return { name, state: owned ? "running" : "claiming", owned, position, epoch, failures, failingForMs, lastError };
  }

  return {
    apply(assigned, deadLettersDue = []) {
      wanted = new Set(assigned.filter((name) => names.includes(name)));
      const unknown = assigned.filter((name) => !names.includes(name));
      if (unknown.length > 0) logger.warn({ consumers: unknown }, "was given consumers that are not here");
      reconcile();
      for (const name of deadLettersDue) running.get(name)?.loop.noteDeadLettersDue();
    },
    async drain(given) {
      draining = true;
      const giveUp = () => abandon.abort(given.reason);
      given.addEventListener("abort", giveUp, { once: true });
      if (given.aborted) giveUp();
      reconcile();
      await Promise.all([...running.values()].map(({ ended }) => ended));
      given.removeEventListener("abort", giveUp);
    },
    health: () => names.map(healthOf),
  };
}
