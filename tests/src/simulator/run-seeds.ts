import { availableParallelism } from "node:os";
import { Worker } from "node:worker_threads";
import type { BreakageName } from "./breakages.ts";
import type { SeedOutcome } from "./run-seed.ts";

/** Settings of many runs. */
export interface RunSeedsOptions {
  readonly seeds: readonly number[];
  readonly breakage?: BreakageName | undefined;
  /** Whether to count what workers say. @defaultValue `false` */
  readonly stats?: boolean | undefined;
  /** How many run at the same time. @defaultValue one for each processor */
  readonly threads?: number | undefined;
  /** Begin no other seed once one has broken an invariant. @defaultValue `false` */
  readonly untilBroken?: boolean | undefined;
  /** Told of each outcome as it comes, in no order. */
  readonly onOutcome?: ((outcome: SeedOutcome) => void) | undefined;
}

/** What a thread is asked. */
export interface SeedRequest extends Pick<RunSeedsOptions, "breakage" | "stats"> {
  readonly seed: number;
}

/**
 * Runs many seeds, each by itself: what comes of a seed depends on nothing else, so several threads share them.
 *
 * @returns outcomes in the order of the seeds, all of those up to the first broken one
 */
export async function runSeeds(options: RunSeedsOptions): Promise<readonly SeedOutcome[]> {
  const { seeds, breakage, stats, threads = availableParallelism(), untilBroken = false, onOutcome } = options;
  const outcomes = new Map<number, SeedOutcome>();
  const left = [...seeds];
  let isBroken = false;

  async function work(): Promise<void> {
    const thread = new Worker(new URL("./seed-thread.ts", import.meta.url));
    try {
      for (let seed = left.shift(); seed !== undefined; seed = untilBroken && isBroken ? undefined : left.shift()) {
        const outcome = await ask(thread, { seed, breakage, stats });
        outcomes.set(seed, outcome);
        isBroken ||= outcome.violation !== null;
        onOutcome?.(outcome);
      }
    } finally {
      await thread.terminate();
    }
  }

  await Promise.all(Array.from({ length: Math.min(threads, seeds.length) }, work));
  return seeds.flatMap((seed) => outcomes.get(seed) ?? []);
}

function ask(thread: Worker, request: SeedRequest): Promise<SeedOutcome> {
  return new Promise((resolve, reject) => {
    thread.once("error", reject);
    thread.once("message", (outcome: SeedOutcome) => {
      thread.off("error", reject);
      resolve(outcome);
    });
    thread.postMessage(request);
  });
}
