// Runs the worker protocol through random lives: `npm run simulate -- --seeds 1000`. A failing seed repeats exactly:
// `npm run simulate -- --seed 42` prints who did what when, up to the invariant that broke.
import { parseArgs } from "node:util";
import { type BreakageName, breakages } from "./simulator/breakages.ts";
import { runSeed, type SeedOutcome } from "./simulator/run-seed.ts";
import { summarize } from "./simulator/summarize.ts";

/** How often a long run says how far it is, in seeds. */
const PROGRESS_EVERY = 100;

// Faults make thousands of errors that nobody looks at.
Error.stackTraceLimit = 0;

const { seeds, from, seed, breakage, json } = readArguments();
const outcomes: SeedOutcome[] = [];
const tell = (text: string) => {
  if (!json) console.error(text);
};
for (const next of seed === null ? range(from, seeds) : [seed]) {
  const outcome = await runSeed(next, { breakage, trace: seed !== null && !json });
  outcomes.push(outcome);
  for (const line of outcome.trace) console.log(line);
  if (outcome.violation) tell(`seed ${next}: ${outcome.violation.invariant} is broken: ${outcome.violation.what}`);
  if (outcomes.length % PROGRESS_EVERY === 0) tell(`${outcomes.length} seeds`);
}
const summary = summarize(outcomes);
console.log(JSON.stringify(summary));
if (summary.firstFailingSeed !== null && seed === null) {
  const again = [
    "npm run simulate --",
    `--seed ${summary.firstFailingSeed}`,
    ...(breakage ? [`--break=${breakage}`] : []),
  ];
  tell(`For the whole story of the first one: ${again.join(" ")}`);
}
process.exit(summary.violations > 0 ? 1 : 0);

function readArguments() {
  try {
    const { values } = parseArgs({
      options: {
        seeds: { type: "string", default: "100" },
        from: { type: "string", default: "1" },
        seed: { type: "string" },
        break: { type: "string" },
        json: { type: "boolean", default: false },
      },
    });
    return {
      seeds: wholeNumber("seeds", values.seeds),
      from: wholeNumber("from", values.from),
      seed: values.seed === undefined ? null : wholeNumber("seed", values.seed),
      breakage: values.break === undefined ? undefined : knownBreakage(values.break),
      json: values.json,
    };
  } catch (error) {
    console.error((error as Error).message);
    return process.exit(2);
  }
}

function wholeNumber(name: string, text: string): number {
  const number = Number(text);
  if (Number.isSafeInteger(number) && number >= 0) return number;
  throw new Error(`Expected --${name} to be a whole number, got ${text}.`);
}

function knownBreakage(name: string): BreakageName {
  if (Object.hasOwn(breakages, name)) return name as BreakageName;
  throw new Error(`Expected --break to be one of ${Object.keys(breakages).join(", ")}, got ${name}.`);
}

function range(first: number, length: number): number[] {
  return Array.from({ length }, (_, index) => first + index);
}
