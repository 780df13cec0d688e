import { Argument, Command, InvalidArgumentError } from "commander";
import type { Size } from "./bench-case.ts";

/** What was asked for on the command line. */
export interface BenchArguments {
  /** Names of cases; none for all. */
  readonly cases: readonly string[];
  readonly size: Size;
  /** Rounds that count. */
  readonly rounds: number;
  /** Whether `growth` goes up to ten million events as well. */
  readonly huge: boolean;
  /** Nothing on stdout but one object per line. */
  readonly json: boolean;
  /** Whether `docs/performance.*` is brought up to date. */
  readonly writeDocs: boolean;
}

/** Rounds by size, unless the command line names them. */
const ROUNDS = { full: 5, quick: 2, smoke: 1 } as const;

/**
 * Reads the command line.
 *
 * @param args - without node and program
 * @throws {@link CommanderError} when they cannot be read, or when help was asked for: it has been printed then
 */
export function parseArguments(
  args: readonly string[],
  cases: readonly { readonly name: string; readonly about: string }[],
): BenchArguments {
  const names = cases.map(({ name }) => name);
  const command = new Command("npm run bench --")
    .description("Measures pup beside the same work by hand and beside its peers, on a PostgreSQL server of its own.")
    .addArgument(new Argument("[case...]", "what to measure; all without a name").choices(names))
    .option(
      "--rounds <n>",
      `how often everybody has a turn that counts (default: ${ROUNDS.full}, quick: ${ROUNDS.quick})`,
      rounds,
    )
    .option("--quick", "less of everything: within three minutes", false)
    .option("--smoke", "next to nothing, to see that it runs", false)
    .option("--huge", "growth: up to ten million events, for which 10 GB have to be free", false)
    .option("--json", "print nothing but one line of JSON per figure", false)
    .option("--write-docs", "bring the figures in docs/performance.md up to date", false)
    .addHelpText("after", `\nCases:\n${cases.map(({ name, about }) => `  ${name.padEnd(12)}${about}`).join("\n")}`)
    .exitOverride()
    .parse(args, { from: "user" });
  const options = command.opts<{
    rounds?: number;
    quick: boolean;
    smoke: boolean;
    huge: boolean;
    json: boolean;
    writeDocs: boolean;
  }>();
  const size = options.smoke ? "smoke" : options.quick ? "quick" : "full";
  return {
    cases: command.processedArgs[0],
    size,
    rounds: options.rounds ?? ROUNDS[size],
    huge: options.huge,
    json: options.json,
    writeDocs: options.writeDocs,
  };
}

function rounds(text: string): number {
  if (/^[1-9]\d{0,3}$/.test(text)) return Number(text);
  throw new InvalidArgumentError("Expected a whole number from 1 to 9999.");
}
