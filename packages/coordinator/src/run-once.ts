import { type Clock, type GlobalPosition, InvalidStateError } from "@pup/core";
import type { ConsumerLoop, ConsumerOutcome } from "./consumer-loop.ts";
import type { Membership } from "./membership.ts";
import type { SettledTracker } from "./settled-tracker.ts";
import type { RunOnceOutcome } from "./worker.ts";

/** What a single run needs. */
export interface RunOnceOptions {
  readonly names: readonly string[];
  readonly createLoop: (name: string) => ConsumerLoop;
  readonly latestPosition: () => Promise<GlobalPosition>;
  readonly tracker: SettledTracker;
  /** A membership that takes no consumers: it says only that this process is alive. */
  readonly membership: Membership;
  readonly signal: AbortSignal;
  readonly shutdownTimeoutMs: number;
  readonly clock: Clock;
}

/** Takes every consumer that no live worker has to what the log holds now, hands it back, and says what was done. */
export async function runConsumersOnce(options: RunOnceOptions): Promise<readonly RunOnceOutcome[]> {
  const { names, createLoop, tracker, membership, signal, shutdownTimeoutMs, clock } = options;
  const ending = new AbortController();
  const abandon = new AbortController();
  let cancelGrace = (): void => undefined;
  const startGrace = () => {
    cancelGrace = clock.after(shutdownTimeoutMs, () =>
      abandon.abort(new InvalidStateError("The single run was stopped.")),
    );
  };
  signal.addEventListener("abort", startGrace, { once: true });

  const background: Promise<void>[] = [];
  try {
    if (!(await membership.join(signal))) return names.map((name) => describe(name, { kind: "drained" }));
    background.push(membership.run(ending.signal), tracker.run(ending.signal));
    const target = await options.latestPosition();
    const outcomes = await Promise.all(
      names.map((name) => createLoop(name).run({ drain: signal, abandon: abandon.signal, target })),
    );
    throwFailures(outcomes);
    return outcomes.map((outcome, index) => describe(names[index] as string, outcome));
  } finally {
    signal.removeEventListener("abort", startGrace);
    cancelGrace();
    ending.abort();
    await Promise.all(background);
    await membership.leave();
  }
}

function throwFailures(outcomes: readonly ConsumerOutcome[]): void {
  const errors = outcomes.flatMap((outcome) => (outcome.kind === "failed" ? [outcome.error] : []));
  if (errors.length === 1) throw errors[0];
  if (errors.length > 1) throw new AggregateError(errors, `${errors.length} consumers failed.`);
}

function describe(consumer: string, outcome: ConsumerOutcome): RunOnceOutcome {
  if (outcome.kind === "reached")
    return { consumer, outcome: "caught-up", position: outcome.position, events: outcome.events };
  return {
    consumer,
    outcome: outcome.kind === "not-ours" ? "held-elsewhere" : "interrupted",
    position: null,
    events: 0,
  };
}
