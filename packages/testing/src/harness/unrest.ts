import type { GlobalPosition, InFlightAppender } from "@pup/core";
import type { MemoryStore } from "../memory/memory-store.ts";
import type { Member } from "./member.ts";

/** Something that has not come to rest. */
export interface Unrest {
  /** In words for whoever reads the test's output. */
  readonly what: string;
  /**
   * `"never"`: time alone will not mend it. `"held-up"`: nor will it mend this, unless somebody ends the transactions that stand
   * in the way. `"not-yet"`: it may take some more time.
   */
  readonly hope: "never" | "held-up" | "not-yet";
  /** What is behind it, where that is an error. */
  readonly cause?: unknown;
}

/** Where to look for it. */
export interface UnrestOptions {
  readonly store: MemoryStore;
  readonly members: readonly Member[];
  /** Names of the consumers that have to get to the head of the log. */
  readonly consumers: readonly string[];
}

/**
 * Lists what keeps workers and consumers from being at rest: each consumer in one worker, at the head of the log, without a dead
 * letter to be handled, and the consumers dealt out evenly. Nothing when they are.
 */
export async function findUnrest(options: UnrestOptions): Promise<readonly Unrest[]> {
  const { members, consumers, store } = options;
  const failed = members.find(({ failure }) => failure !== undefined);
  if (failed) {
    const { name, failure } = failed;
    return [{ what: `${name} could not start: ${show(failure)}`, hope: "never", cause: failure }];
  }
  try {
    const [head, checkpoints, { appenders }] = await Promise.all([
      store.latestPosition(),
      store.readCheckpoints(consumers),
      store.inFlightAppenders(),
    ]);
    const positions = new Map(checkpoints.map(({ consumer, position }) => [consumer, position]));
    const found = consumers.map((name) => {
      const position = positions.get(name) ?? 0n;
      return findUnrestOf({ name, position, head, appenders, members }) ?? findDueLetters(store, name);
    });
    const unrest = (await Promise.all(found)).filter((one) => one !== null);
    return unrest.length > 0 ? unrest : [...findStarting(members), ...findUnevenness(members)];
  } catch (error) {
    return [{ what: `The store does not answer: ${show(error)}`, hope: "never", cause: error }];
  }
}

interface ConsumerFacts {
  readonly name: string;
  readonly position: GlobalPosition;
  readonly head: GlobalPosition;
  readonly appenders: readonly InFlightAppender[];
  readonly members: readonly Member[];
}

function findUnrestOf({ name, position, head, appenders, members }: ConsumerFacts): Unrest | null {
  const where = `Consumer "${name}" stands at position ${position} of ${head}`;
  const states = members
    .filter(({ offered }) => offered.includes(name))
    .map((member) => ({ member, health: healthOf(member, name) }));
  if (states.length === 0) return { what: `${where}: no worker that is alive has it.`, hope: "never" };

  const failed = states.find(({ health }) => health?.state === "failed");
  if (failed) {
    const error = failed.health?.lastError;
    return {
      what: `${where}: it has stopped on ${failed.member.name}, with ${show(error)}`,
      hope: "never",
      cause: error,
    };
  }
  if (states.filter(({ health }) => health?.state === "running").length !== 1) {
    return { what: `${where}: no worker runs it yet.`, hope: "not-yet" };
  }
  if (position >= head) return null;
  const [appender] = appenders;
  if (appender) return { what: `${where}: ${describeAppender(appender)}`, hope: "held-up" };
  const failing = states.find(({ health }) => health !== undefined)?.member.recorded.of("batch:failed") ?? [];
  const last = failing.findLast(({ consumer }) => consumer === name);
  return {
    what: last ? `${where}: its last failure was ${show(last.error)}` : `${where}.`,
    hope: "not-yet",
    cause: last?.error,
  };
}

function healthOf({ worker }: Member, consumer: string) {
  return worker.health().consumers.find(({ name }) => name === consumer);
}

function describeAppender({ prepared, applicationName }: InFlightAppender): string {
  const whose = applicationName === "" ? "" : ` of "${applicationName}"`;
  return `a transaction${whose} that has appended is ${prepared ? "prepared and not ended" : "still open"}, and what comes after its events waits for it.`;
}

async function findDueLetters(store: MemoryStore, name: string): Promise<Unrest | null> {
  const { due } = await store.lookForDeadLetters(name);
  return due ? { what: `Consumer "${name}" has dead letters that are to be handled again.`, hope: "not-yet" } : null;
}

function findStarting(members: readonly Member[]): readonly Unrest[] {
  const starting = members.filter(({ worker }) => worker.health().state === "starting");
  return starting.map(({ name }) => ({ what: `${name} is still starting.`, hope: "not-yet" }));
}

/** A worker has two consumers more than another one that could have one of them. */
function findUnevenness(members: readonly Member[]): readonly Unrest[] {
  for (const rich of members) {
    for (const poor of members) {
      const couldMove = rich.running.some((name) => poor.offered.includes(name));
      if (!couldMove || rich.running.length - poor.running.length < 2) continue;
      const what = `${rich.name} runs ${rich.running.length} consumers, and ${poor.name} ${poor.running.length}.`;
      return [{ what, hope: "not-yet" }];
    }
  }
  return [];
}

function show(error: unknown): string {
  return error instanceof Error ? `${error.name}: ${error.message}` : String(error);
}
