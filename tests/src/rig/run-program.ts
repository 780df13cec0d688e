import { CommanderError } from "commander";
import { parseRigArguments, type RigArguments, type RigCommand } from "./arguments.ts";
import { end, interruptible } from "./interruptible.ts";
import type { RigOutcome } from "./outcome.ts";
import { runRig } from "./run-rig.ts";

/**
 * Runs one of the rig's commands as a program: what happens goes to stderr, the outcome to stdout, in one line of JSON. The exit
 * code is 0 if everything was as promised, 1 if not or if it could not be run, 2 for arguments that make no sense.
 */
export async function runProgram(command: RigCommand): Promise<void> {
  const args = readArguments(command);
  const startedAt = performance.now();
  const tell = (text: string) => {
    if (args.json) return;
    process.stderr.write(`${((performance.now() - startedAt) / 1_000).toFixed(1).padStart(6)} s  ${text}\n`);
  };

  try {
    const outcome = await runRig(args, tell, interruptible());
    for (const line of describe(outcome)) tell(line);
    console.log(JSON.stringify(outcome));
    end(outcome.verdict === "ok" ? 0 : 1);
  } catch (error) {
    const { seed, seconds } = args;
    const reason = error instanceof Error ? String(error.stack) : String(error);
    console.log(JSON.stringify({ command, seed, seconds, reasons: [reason], verdict: "failed" }));
    end(1);
  }
}

function readArguments(command: RigCommand): RigArguments {
  try {
    return parseRigArguments(command, process.argv.slice(2));
  } catch (error) {
    if (error instanceof CommanderError) process.exit(error.exitCode === 0 ? 0 : 2);
    throw error;
  }
}

function describe(outcome: RigOutcome): readonly string[] {
  const { committed, delivered, lost, duplicates, outOfOrder, faults, failoverMs, gapCloseMs, reasons } = outcome;
  const faultCount = Object.values(faults).reduce((sum, count) => sum + count, 0);
  return [
    `${committed} events in the log, ${delivered} effects: ${lost} lost, ${duplicates} doubled, ${outOfOrder} out of order`,
    `${faultCount} faults of ${Object.keys(faults).length} kinds; fail-over p50 ${failoverMs.p50} ms, max ${failoverMs.max} ms; ` +
      `gaps closed p50 ${gapCloseMs.p50} ms, p99 ${gapCloseMs.p99} ms`,
    ...reasons.map((reason) => `WRONG: ${reason}`),
  ];
}
