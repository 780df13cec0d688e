// Checks the models of the settled position and of ownership, in every order of steps that there is: `npm run model`. With
// `--break=epoch` a protection is taken out, and what is printed is the shortest way in which that does harm.
import { parseArgs } from "node:util";
import { checkBroken, checkModel, type ModelOutcome } from "./model/check-model.ts";
import { findSpin, howToGetSpin } from "./model/find-spin.ts";
import { type BreakageName, breakages, smallChecks, wholeChecks } from "./model/models.ts";

const { broken, small } = readArguments();
const spin = findSpin() ?? refuse(howToGetSpin);
const stopping = new AbortController();
for (const name of ["SIGINT", "SIGTERM"] as const) process.once(name, () => stopping.abort());

let allHold = true;
if (broken) {
  console.log(`${broken}: ${breakages[broken].what}`);
  report(await checkBroken(spin, broken, stopping.signal));
} else {
  for (const check of small ? smallChecks : wholeChecks) {
    const sizes = Object.entries(check.sizes).map(([name, size]) => `${name.toLowerCase()} ${size}`);
    console.log(`${check.model}: ${sizes.join(", ")}`);
    report(await checkModel(spin, check, stopping.signal));
  }
}
process.exit(allHold ? 0 : 1);

function report({ states, depth, seconds, story }: ModelOutcome): void {
  const looked = `${states.toLocaleString("en")} states, ${depth} steps deep, ${seconds.toFixed(1)} s`;
  for (const [index, line] of story?.entries() ?? []) console.log(`${String(index + 1).padStart(4)}  ${line}`);
  console.log(`  ${looked}: ${story ? "an invariant breaks" : "every invariant holds"}`);
  allHold &&= story === null;
}

function readArguments() {
  try {
    const { values } = parseArgs({
      options: { break: { type: "string" }, small: { type: "boolean", default: false } },
    });
    return { broken: values.break === undefined ? undefined : knownBreakage(values.break), small: values.small };
  } catch (error) {
    return refuse((error as Error).message);
  }
}

function knownBreakage(name: string): BreakageName {
  if (Object.hasOwn(breakages, name)) return name as BreakageName;
  throw new Error(`Expected --break to be one of ${Object.keys(breakages).join(", ")}, got ${name}.`);
}

function refuse(message: string): never {
  console.error(message);
  process.exit(2);
}
