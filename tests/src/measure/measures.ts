import { Command } from "commander";
import { whole } from "../rig/arguments.ts";
import { measureBlocked } from "./blocked.ts";
import { measureFailover } from "./failover.ts";
import { measureFleet } from "./fleet.ts";
import { measureGaps } from "./gaps.ts";
import { measureStarved } from "./starved.ts";

/** What a measure is given beside its options. */
export interface MeasureContext {
  /** Tells people how it goes. */
  readonly tell: (text: string) => void;
  /** Aborts when it has to end: it cleans up and rejects with the reason. */
  readonly signal: AbortSignal;
}

/** What a measure has found: printed as one line of JSON. `verdict` says whether every figure is as promised. */
export interface MeasureOutcome {
  readonly verdict: "ok" | "failed";
}

/** What was asked for on the command line. */
export interface AskedMeasure {
  readonly json: boolean;
  readonly run: (context: MeasureContext) => Promise<MeasureOutcome>;
}

const longest = 10_000;

/**
 * Reads the command line. Each subcommand is one measure: to add one, add a function that takes its options and a
 * {@link MeasureContext}, and name it here.
 *
 * @param args - without node and program
 * @throws {@link CommanderError} when they cannot be read, or when help was asked for: it has been printed then
 */
export function parseMeasure(args: readonly string[]): AskedMeasure {
  let asked: AskedMeasure | undefined;
  const program = new Command("npm run measure --")
    .description("Measures what pup promises in figures, at default options, on a server of its own.")
    .exitOverride();

  function add<Options>(
    command: Command,
    measure: (options: Options, context: MeasureContext) => Promise<MeasureOutcome>,
  ): void {
    command
      .option("--json", "print nothing but one line of JSON", false)
      .allowExcessArguments(false)
      .action((options: Options & { json: boolean }) => {
        asked = { json: options.json, run: (context) => measure(options, context) };
      });
  }

  add(
    program
      .command("failover")
      .description("the time from a SIGKILL until others have gone on, by role, dispatcher and connection")
      .option("--rounds <n>", "kills of each kind", whole(1, longest), 20)
      .option(
        "--pooler-rounds <n>",
        "kills of each kind behind PgBouncer, where silence has to tell",
        whole(0, longest),
        2,
      ),
    measureFailover,
  );
  add(
    program
      .command("gaps")
      .description("the time until consumers get past positions that were rolled back")
      .option("--rounds <n>", "gaps of each kind, for each number of workers", whole(1, longest), 50),
    measureGaps,
  );

  add(
    program
      .command("fleet")
      .description("owners, sessions and statements of many worker processes with pools of two, at rest")
      .option("--workers <n>", "worker processes", whole(2, 200), 50)
      .option("--consumers <n>", "consumers in all", whole(1, longest), 500),
    measureFleet,
  );
  add(
    program
      .command("blocked")
      .description("what event loops that are blocked for 20 s and for 60 s cost; takes two minutes"),
    measureBlocked,
  );
  add(
    program.command("starved").description("what starved connections cost the consumers that need none of them"),
    measureStarved,
  );

  program.parse(args, { from: "user" });
  return asked as unknown as AskedMeasure;
}
