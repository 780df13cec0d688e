import { type DetachedConsumer, defineConsumer, type RecordedEvent } from "@pup/core";

/** What is needed of a Redis client. */
export interface ScriptRunner {
  eval(script: string, options: { keys: string[]; arguments: string[] }): Promise<unknown>;
}

/** What {@link createForwarder} needs. */
export interface ForwarderOptions {
  readonly redis: ScriptRunner;
  /** Name of the stream, and of the consumer. */
  readonly stream: string;
  readonly aggregateTypes: readonly string[];
}

/**
 * The receiver's half, which runs within Redis, hence all or nothing.
 *
 * A sender cannot know by itself that it has been replaced: it may have been frozen between its last look and this very message. So
 * the receiver keeps the highest epoch that it has heard of, and refuses lower ones. Positions as ids of the messages let Redis refuse
 * what it has already: after a lost answer, the same message is sent again.
 */
const RECEIVE = `
  local epoch = tonumber(redis.call("GET", KEYS[2]) or "0")
  if tonumber(ARGV[1]) < epoch then return "stale" end
  redis.call("SET", KEYS[2], ARGV[1])
  local added = redis.pcall("XADD", KEYS[1], ARGV[2] .. "-0", "event", ARGV[3], "type", ARGV[4], "payload", ARGV[5])
  if type(added) == "string" then return "added" end
  if string.find(added.err, "equal or smaller") then return "known" end
  return added`;

/** Sends one event in the name of an epoch. Answers whether it was new, already there, or refused because a newer owner has sent. */
export async function send(
  { redis, stream }: Pick<ForwarderOptions, "redis" | "stream">,
  event: RecordedEvent,
  epoch: number,
): Promise<"added" | "known" | "stale"> {
  const { globalPosition, id, type, payload } = event;
  const answer = await redis.eval(RECEIVE, {
    keys: [stream, `${stream}:epoch`],
    arguments: [String(epoch), String(globalPosition), id, type, JSON.stringify(payload)],
  });
  return answer as "added" | "known" | "stale";
}

/** A consumer that forwards events. It wants no transaction: what it does lies outside of the database. */
export function createForwarder(options: ForwarderOptions): DetachedConsumer {
  return defineConsumer({
    name: `forward-to-${options.stream}`,
    aggregateTypes: options.aggregateTypes,
    transaction: "none",
    async handle(event, { epoch, signal }) {
      signal.throwIfAborted();
      if ((await send(options, event, epoch)) === "stale") throw new Error(`Epoch ${epoch} has been replaced.`);
    },
  });
}
