// `npm start`: shows what pup promises, on a PostgreSQL server of its own. The last line of its output is one JSON object;
// the exit code is 0 if the promise was kept, 1 if it was not or something broke, 2 for arguments that make no sense.
import { constants } from "node:os";
import { CommanderError } from "commander";
import { type DemoArguments, parseArguments } from "./demo/arguments.ts";
import { DemoFailure } from "./demo/demo-failure.ts";
import { describeOutcome, isAsPromised, outcomeAsJson } from "./demo/describe-outcome.ts";
import { createDisplay } from "./demo/display/create-display.ts";
import { runDemo } from "./demo/run-demo.ts";

const options = readArguments();
const display = createDisplay(process.stdout);
const interrupted = new AbortController();
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => interrupt(signal));
// Nobody reads any more, as in `npm start | head`: end in order, without a word.
process.stdout.on("error", () => interrupted.abort(new DemoFailure("The output was closed.")));

try {
  const outcome = await runDemo(options, display, interrupted.signal);
  display.close();
  for (const line of describeOutcome(outcome)) console.log(line);
  console.log(outcomeAsJson(outcome));
  process.exitCode = isAsPromised(outcome) ? 0 : 1;
} catch (error) {
  display.close();
  if (typeof process.exitCode !== "number") process.exitCode = 1;
  // What is a failure of the demo explains itself; anything else is a fault in the program.
  const reason = error instanceof DemoFailure ? error.message : error;
  console.error(reason);
  console.log(JSON.stringify({ verdict: "failed", reason: String(error instanceof Error ? error.message : error) }));
}

function readArguments(): DemoArguments {
  try {
    return parseArguments(process.argv.slice(2));
  } catch (error) {
    if (error instanceof CommanderError) process.exit(error.exitCode === 0 ? 0 : 2);
    throw error;
  }
}

/** Ends the demo in order; asked again, at once. Its processes notice, and the server has a watchdog. */
function interrupt(signal: "SIGINT" | "SIGTERM" | "SIGHUP"): void {
  const exitCode = 128 + constants.signals[signal];
  if (interrupted.signal.aborted) process.exit(exitCode);
  process.exitCode = exitCode;
  interrupted.abort(new DemoFailure(`Interrupted by ${signal}; everything has been cleaned up.`));
}
