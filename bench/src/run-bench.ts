import { loadavg } from "node:os";
import { CommanderError } from "commander";
import { end, interruptible } from "../../tests/src/rig/interruptible.ts";
import { type BenchArguments, parseArguments } from "./arguments.ts";
import { cases } from "./cases/index.ts";
import { createReporter } from "./report/create-reporter.ts";
import { writeDocs } from "./report/write-docs.ts";
import { runCases } from "./run-cases.ts";
import { openServer } from "./server.ts";

/**
 * Runs the benchmark as a program. The exit code is 0 when everything was measured, whatever came of it; 1 when something could
 * not be; 2 for arguments that make no sense.
 */
export async function runBench(args: readonly string[]): Promise<void> {
  const asked = readArguments(args);
  // Each of Emmett's consumers listens for signals.
  process.setMaxListeners(100);
  const signal = interruptible();
  const [loadBefore = 0] = loadavg();
  const reporter = createReporter(asked);
  try {
    await using server = await openServer({ durable: asked.size !== "smoke" });
    const chosen = cases.filter(({ name }) => asked.cases.length === 0 || asked.cases.includes(name));
    const allWell = await runCases(chosen, { ...asked, server, reporter, signal });
    reporter.close();
    if (asked.writeDocs && allWell) writeDocs(reporter.lines, { size: asked.size, server: server.version, loadBefore });
    await server[Symbol.asyncDispose]();
    end(allWell ? 0 : 1);
  } catch (error) {
    console.error(error);
    end(1);
  }
}

function readArguments(args: readonly string[]): BenchArguments {
  try {
    return parseArguments(args, cases);
  } catch (error) {
    if (error instanceof CommanderError) process.exit(error.exitCode === 0 ? 0 : 2);
    throw error;
  }
}
