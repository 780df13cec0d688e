import { describe, expect, it } from "vitest";
import { type BreakageName, breakages } from "./breakages.ts";
import { runSeed, type SeedOutcome } from "./run-seed.ts";
import { summarize } from "./summarize.ts";

/** Faults last less long here than in `npm run simulate`, in virtual milliseconds: many short lives rather than a few long ones. */
const ROUGH_MS = 15_000;

/** Runs seeds from 1 on, up to the first that breaks an invariant. */
async function runSeeds(seeds: number, breakage?: BreakageName): Promise<SeedOutcome[]> {
  const outcomes: SeedOutcome[] = [];
  for (let seed = 1; seed <= seeds; seed++) {
    const outcome = await runSeed(seed, { roughMs: ROUGH_MS, breakage });
    outcomes.push(outcome);
    if (outcome.violation) break;
  }
  return outcomes;
}

// Seconds of work for the processor: on a busy machine it takes a multiple.
describe("The simulator", { timeout: 60_000 }, () => {
  it("finds every invariant kept by a fleet whose world falls apart", async () => {
    const outcomes = await runSeeds(30);

    expect(outcomes.at(-1)?.violation).toBeNull();
    expect(summarize(outcomes)).toMatchObject({ seeds: 30, violations: 0, firstFailingSeed: null });
  });

  it("lives the same life again from the same seed, and another one from another", async () => {
    const live = (seed: number) => runSeed(seed, { roughMs: ROUGH_MS, trace: true });
    const first = await live(8);

    expect(await live(8)).toEqual(first);
    expect((await live(9)).trace).not.toEqual(first.trace);
  });

  it.each(Object.keys(breakages) as BreakageName[])(
    "notices within a few seeds what is lost without: %s",
    async (name) => {
      const outcomes = await runSeeds(50, name);

      expect(outcomes.at(-1)?.violation?.invariant).toMatch(/^I\d$/);
    },
  );

  it("tells the story up to the invariant that broke", async () => {
    const { trace, violation } = await runSeed(1, { breakage: "checkpoint-before-effects", trace: true });

    expect(trace.at(0)).toContain("seed");
    expect(trace).toContainEqual(expect.stringContaining(`BROKEN   I1: ${violation?.what}`));
  });
});
