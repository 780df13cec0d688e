// Runs the worker protocol through random lives: `npm run simulate -- --seeds 1000`. A failing seed repeats exactly:
// `npm run simulate -- --seed 42` prints who did what when, up to the invariant that broke.
import { parseArgs } from "node:util";
import { type BreakageName, breakages } from "./simulator/breakages.ts";
import { runSeed, type SeedOutcome } from "./simulator/run-seed.ts";
import { runSeeds } from "./simulator/run-seeds.ts";
import { fingerprint, frequencies, summarize } from "./simulator/summarize.ts";

/** How often a long run says how far it is, in seeds. */
const PROGRESS_EVERY = 100;

// Faults make thousands of errors that nobody looks at.
Error.stackTraceLimit = 0;

const { seeds, from, seed, breakage, threads, stats, json } = readArguments();
const tell = (text: string) => {
  if (!json) console.error(text);
};
const outcomes = seed === null ? await runMany() : [await runOne(seed)];
const summary = {
  ...summarize(outcomes),
  ...(seed !== null && { trace: fingerprint(outcomes[0] as SeedOutcome) }),
  ...(stats && { stats: frequencies(outcomes) }),
};
console.log(JSON.stringify(summary));
process.exit(summary.violations > 0 ? 1 : 0);

async function runOne(one: number): Promise<SeedOutcome> {
  const outcome = await runSeed(one, { breakage, stats, trace: true });
  if (!json) for (const line of outcome.trace) console.log(line);
  tellViolation(outcome);
  return outcome;
}

async function runMany(): Promise<readonly SeedOutcome[]> {
  const range = Array.from({ length: seeds }, (_, index) => from + index);
  let done = 0;
  const many = await runSeeds({
    seeds: range,
    breakage,
    stats,
    threads,
    // A protection taken out has shown what it is good for with the first seed.
    untilBroken: breakage !== undefined,
    onOutcome(outcome) {
      done += 1;
      tellViolation(outcome);
      if (done % PROGRESS_EVERY === 0) tell(`${done} seeds`);
    },
  });
  const failing = many.find(({ violation }) => violation !== null);
  if (failing) {
    const again = `npm run simulate -- --seed ${failing.seed}${breakage ? ` --break=${breakage}` : ""}`;
    tell(`For the whole story of the first one: ${again}`);
  }
  return many;
}

function tellViolation({ seed, violation }: SeedOutcome): void {
  if (violation) tell(`seed ${seed}: ${violation.invariant} is broken: ${violation.what}`);
}

function readArguments() {
  try {
    const { values } = parseArgs({
      options: {
        seeds: { type: "string", default: "100" },
        from: { type: "string", default: "1" },
        seed: { type: "string" },
        break: { type: "string" },
        threads: { type: "string" },
        stats: { type: "boolean", default: false },
        json: { type: "boolean", default: false },
      },
    });
    return {
      seeds: wholeNumber("seeds", values.seeds),
      from: wholeNumber("from", values.from),
      seed: values.seed === undefined ? null : wholeNumber("seed", values.seed),
      breakage: values.break === undefined ? undefined : knownBreakage(values.break),
      threads: values.threads === undefined ? undefined : wholeNumber("threads", values.threads, 1),
      stats: values.stats,
      json: values.json,
    };
  } catch (error) {
    console.error((error as Error).message);
    return process.exit(2);
  }
}

function wholeNumber(name: string, text: string, least = 0): number {
  const number = Number(text);
  if (Number.isSafeInteger(number) && number >= least) return number;
  throw new Error(`Expected --${name} to be a whole number from ${least}, got ${text}.`);
}

function knownBreakage(name: string): BreakageName {
  if (Object.hasOwn(breakages, name)) return name as BreakageName;
  throw new Error(`Expected --break to be one of ${Object.keys(breakages).join(", ")}, got ${name}.`);
}
