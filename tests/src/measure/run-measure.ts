import { CommanderError } from "commander";
import { end, interruptible } from "../rig/interruptible.ts";
import { type AskedMeasure, parseMeasure } from "./measures.ts";

/**
 * Runs a measure as a program: how it goes goes to stderr, what was found to stdout, in one line of JSON. The exit code is 0 if
 * every figure is as promised, 1 if not or if it could not be measured, 2 for arguments that make no sense.
 */
export async function runMeasure(args: readonly string[]): Promise<void> {
  const { json, run } = readArguments(args);
  const tell = (text: string) => {
    if (!json) process.stderr.write(`${text}\n`);
  };
  try {
    const outcome = await run({ tell, signal: interruptible() });
    console.log(JSON.stringify(outcome));
    end(outcome.verdict === "ok" ? 0 : 1);
  } catch (error) {
    console.error(error);
    console.log(JSON.stringify({ reason: String(error instanceof Error ? error.message : error), verdict: "failed" }));
    end(1);
  }
}

function readArguments(args: readonly string[]): AskedMeasure {
  try {
    return parseMeasure(args);
  } catch (error) {
    if (error instanceof CommanderError) process.exit(error.exitCode === 0 ? 0 : 2);
    throw error;
  }
}
