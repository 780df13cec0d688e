import { Command, InvalidArgumentError, Option } from "commander";

/** What the demo can be told. */
export interface DemoArguments {
  /** How long the producer appends. */
  readonly seconds: number;
  readonly dispatcher: "notify" | "poll";
}

const shortest = 5;
const longest = 600;

/**
 * Reads the command line.
 *
 * @param args - without node and program
 * @throws {@link CommanderError} when they cannot be read, or when help was asked for: it has been printed then
 */
export function parseArguments(args: readonly string[]): DemoArguments {
  const command = new Command("npm start --")
    .description("Shows pup at work: a shop on PostgreSQL, six consumers, worker processes that come, go and die.")
    .addOption(new Option("--notify", "wake consumers by LISTEN/NOTIFY (the default)").conflicts("poll"))
    .addOption(new Option("--poll", "wake consumers by asking for the latest position every 200 ms"))
    .option("--seconds <n>", `how long events are appended, ${shortest} to ${longest}`, parseSeconds, 30)
    .allowExcessArguments(false)
    .exitOverride()
    .parse(args, { from: "user" });
  const { seconds, poll = false } = command.opts<{ seconds: number; poll?: boolean }>();
  return { seconds, dispatcher: poll ? "poll" : "notify" };
}

function parseSeconds(text: string): number {
  const seconds = Number(text);
  if (/^\d+$/.test(text) && seconds >= shortest && seconds <= longest) return seconds;
  throw new InvalidArgumentError(`Expected a whole number from ${shortest} to ${longest}.`);
}
