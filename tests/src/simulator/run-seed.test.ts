import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { beforeAll, describe, expect, it } from "vitest";
import { type BreakageName, breakages } from "./breakages.ts";
import { runSeed, type SeedOutcome } from "./run-seed.ts";
import { fingerprint, frequencies, summarize } from "./summarize.ts";

/** Faults last less long here than in `npm run simulate`, in virtual milliseconds: many short lives rather than a few long ones. */
const ROUGH_MS = 15_000;

/** Runs seeds from 1 on, up to the first that breaks an invariant. */
async function runSeeds(seeds: number, breakage?: BreakageName): Promise<SeedOutcome[]> {
  const outcomes: SeedOutcome[] = [];
  for (let seed = 1; seed <= seeds; seed++) {
    const outcome = await runSeed(seed, { roughMs: ROUGH_MS, breakage, stats: true });
    outcomes.push(outcome);
    if (outcome.violation) break;
  }
  return outcomes;
}

// Seconds of work for the processor: on a busy machine it takes a multiple.
describe("The simulator", { timeout: 120_000 }, () => {
  describe("with 200 fleets whose world falls apart", () => {
    let outcomes: readonly SeedOutcome[] = [];
    beforeAll(async () => {
      outcomes = await runSeeds(200);
    }, 120_000);

    it("finds every invariant kept", () => {
      expect(outcomes.at(-1)?.violation).toBeNull();
      expect(summarize(outcomes)).toMatchObject({ seeds: 200, violations: 0, firstFailingSeed: null });
    });

    it.each([
      "append commits late",
      "append is taken back",
      "connection is lost during a statement, after it took effect",
      "connection is lost during a statement, before it took effect",
      "connections of running batches are lost",
      "control session is lost",
      "dead letters are discarded",
      "dead letters are to be handled again",
      "handler fails on poison",
      "handler takes longer than a batch may",
      "leader:lost",
      "newest release is rolled out",
      "notification comes late",
      "notification comes twice",
      "notification is lost",
      "older release is rolled out",
      "process dies after the commit",
      "process dies before the commit",
      "process stands still for longer than a lease",
      "process stands still for longer than counts as death",
      "server crashes",
      "server cannot be reached for a while",
      "single run comes",
      "worker with a failed consumer is replaced",
    ])("has seen in several: %s", (kind) => {
      expect(frequencies(outcomes)[kind]?.seeds).toBeGreaterThan(1);
    });
  });

  it("lives the same life again from the same seed, and another one from another", async () => {
    const live = (seed: number) => runSeed(seed, { roughMs: ROUGH_MS, trace: true });
    const first = await live(8);

    expect(await live(8)).toEqual(first);
    expect((await live(9)).trace).not.toEqual(first.trace);
  });

  it("lives the same life in another process", async () => {
    const here = await runSeed(SHORT_SEED, { trace: true });

    expect(await simulate("--seed", String(SHORT_SEED))).toMatchObject({ seeds: 1, trace: fingerprint(here) });
  });

  it("comes to the same however many threads share the seeds", async () => {
    const here = [await runSeed(SHORT_SEED), await runSeed(SHORT_SEED + 1)];

    expect(await simulate("--from", String(SHORT_SEED), "--seeds", "2", "--threads", "2")).toEqual(summarize(here));
  });

  it.each(Object.keys(breakages) as BreakageName[])(
    "notices within a few seeds what is lost without: %s",
    async (name) => {
      const outcomes = await runSeeds(100, name);

      expect(outcomes.at(-1)?.violation?.invariant).toMatch(/^I\d$/);
    },
  );

  it("tells the story up to the invariant that broke", async () => {
    const { trace, violation } = await runSeed(1, { breakage: "checkpoint-before-effects", trace: true });

    expect(trace.at(0)).toContain("seed");
    expect(trace).toContainEqual(expect.stringContaining(`BROKEN   I1: ${violation?.what}`));
  });
});

/** A seed whose whole life takes a moment. */
const SHORT_SEED = 21;

/** What `npm run simulate` says about these seeds. */
async function simulate(...args: string[]): Promise<unknown> {
  const program = fileURLToPath(new URL("../simulate.ts", import.meta.url));
  const { stdout } = await promisify(execFile)(process.execPath, [
    "--conditions=@pup/source",
    program,
    "--json",
    ...args,
  ]);
  return JSON.parse(stdout);
}
