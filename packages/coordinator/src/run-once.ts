import type { GlobalPosition } from "@pup/core";
import type { ConsumerLoop, ConsumerOutcome } from "./consumer-loop.ts";
import type { LogReader } from "./log-reader.ts";
import type { Membership } from "./membership.ts";
import type { SettledTracker } from "./settled-tracker.ts";
import type { StopLimit } from "./stop-limit.ts";
import type { RunOnceOutcome } from "./worker.ts";

/** What a single run needs. */
export interface RunOnceOptions {
  readonly names: readonly string[];
  readonly createLoop: (name: string) => ConsumerLoop;
  readonly latestPosition: () => Promise<GlobalPosition>;
  readonly tracker: SettledTracker;
  readonly reader: LogReader;
  /** A membership that takes no consumers: it says only that this process is alive. */
  readonly membership: Membership;
  readonly signal: AbortSignal;
  readonly limit: StopLimit;
}

/** Takes every consumer that no live worker has to what the log holds now, hands it back, and says what was done. */
export async function runConsumersOnce(options: RunOnceOptions): Promise<readonly RunOnceOutcome[]> {
  const { names, createLoop, tracker, reader, membership, signal, limit } = options;
  const ending = new AbortController();
  const background: Promise<unknown>[] = [];
  try {
    if (!(await membership.join(signal))) return names.map((name) => describe(name, { kind: "drained" }));
    background.push(membership.run(ending.signal), tracker.run(ending.signal));
    const target = await options.latestPosition();
    const running = names.map((name) => createLoop(name).run({ drain: signal, abandon: limit.abandon, target }));
    const interrupted = untilInterrupted(signal, () => limit.drained(Promise.all(running)));
    const outcomes = await Promise.all(running.map((outcome) => Promise.race([outcome, interrupted])));
    throwFailures(outcomes);
    return outcomes.map((outcome, index) => describe(names[index] as string, outcome));
  } finally {
    ending.abort();
    await limit.ended("reading ahead", reader.ended());
    await limit.ended("what went on beside the single run", Promise.all(background));
    await limit.ended("signing off", membership.leave());
    limit.dispose();
  }
}

/** Once the signal aborts, and consumers have had their time to end. */
async function untilInterrupted(signal: AbortSignal, drained: () => Promise<void>): Promise<ConsumerOutcome> {
  if (!signal.aborted) {
    await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
  }
  await drained();
  return { kind: "drained" };
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
