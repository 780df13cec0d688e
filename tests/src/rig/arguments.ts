import { randomInt } from "node:crypto";
import { Command, InvalidArgumentError, Option } from "commander";
import { type Protection, protections } from "./protections.ts";

/** What the rig does to the workers: `torture` only loads them, `chaos` also breaks things. */
export type RigCommand = "torture" | "chaos";

/** What the rig can be told. */
export interface RigArguments {
  readonly command: RigCommand;
  /** How long events are appended, and things broken. */
  readonly seconds: number;
  /** What all chance is drawn from. */
  readonly seed: number;
  /** One line of JSON and nothing else. */
  readonly json: boolean;
  /** The protection that is switched off; null when all are on. */
  readonly broken: Protection | null;
  /** Major version of the server; undefined for the newest that is installed. */
  readonly postgres: number | undefined;
}

const limits = {
  torture: { shortest: 3, usual: 60 },
  chaos: { shortest: 10, usual: 120 },
} as const;
const longest = 86_400;
// With a protection switched off, what goes wrong is arranged for in the beginning.
const usualWhenBroken = 15;
const largestSeed = 2 ** 31 - 1;

const descriptions = {
  torture: "Appends in every way there is, against live workers, and compares what they did with the log.",
  chaos: "The same, while processes, sessions, connections and the server are killed, frozen and cut off.",
} as const;

/**
 * Reads the command line.
 *
 * @param args - without node and program
 * @throws {@link CommanderError} when they cannot be read, or when help was asked for: it has been printed then
 */
export function parseRigArguments(name: RigCommand, args: readonly string[]): RigArguments {
  const { shortest, usual } = limits[name];
  const command = new Command(`npm run ${name} --`)
    .description(descriptions[name])
    .option("--seconds <n>", `how long, ${shortest} to ${longest} (default: ${usual})`, whole(shortest, longest))
    .option("--seed <n>", "what chance is drawn from (default: another one each time)", whole(0, largestSeed))
    .option("--json", "print nothing but one line of JSON", false)
    .addOption(
      new Option("--break <protection>", "switch one protection off: the run has to fail").choices(protections),
    )
    .option("--postgres <major>", "version of the server (default: the newest installed)", whole(12, 99))
    .allowExcessArguments(false)
    .exitOverride()
    .parse(args, { from: "user" });
  const options = command.opts<{
    seconds?: number;
    seed?: number;
    json: boolean;
    break?: Protection;
    postgres?: number;
  }>();
  return {
    command: name,
    seconds: options.seconds ?? (options.break ? usualWhenBroken : usual),
    seed: options.seed ?? randomInt(largestSeed),
    json: options.json,
    broken: options.break ?? null,
    postgres: options.postgres,
  };
}

/** Makes what reads a whole number of a command line. */
export function whole(least: number, most: number): (text: string) => number {
  return (text) => {
    const number = Number(text);
    if (/^\d+$/.test(text) && number >= least && number <= most) return number;
    throw new InvalidArgumentError(`Expected a whole number from ${least} to ${most}.`);
  };
}
