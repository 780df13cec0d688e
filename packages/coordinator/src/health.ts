import type { DispatcherHealth, GlobalPosition, PulseReading } from "@pup/core";

/** How a worker is doing: facts of its process, as they are now. Nothing is asked for it, so that probes cost nothing. */
export interface WorkerHealth {
  readonly state: "new" | "starting" | "running" | "stopping" | "stopped";
  /**
   * False when only a new process helps: the worker has stopped, or one of its loops hangs. For a liveness probe. A database that is
   * away leaves it true: a restart would not bring it back.
   */
  readonly live: boolean;
  /** True when the worker has started, and nobody need look: `problems` is empty. For a readiness probe, and for alarms. */
  readonly ready: boolean;
  /** What is wrong, for people. Trouble that mends itself within `unhealthyAfterMs` is not worth a word. */
  readonly problems: readonly string[];
  /** It is the leader of the fleet. */
  readonly leads: boolean;
  readonly log: LogHealth;
  /** Each consumer whose code is here. */
  readonly consumers: readonly ConsumerHealth[];
  /** Each loop of the worker that turns now. */
  readonly loops: readonly LoopHealth[];
}

/** What a worker knows of the log. */
export interface LogHealth {
  /** Everything at or below it can be read without missing anything; null while unknown. */
  readonly settledPosition: GlobalPosition | null;
  /** Highest position that was seen, with what waits behind transactions that are still open; null while unknown. */
  readonly headPosition: GlobalPosition | null;
  /**
   * How old that is, in milliseconds; null while nothing is known. Between two looks at an idle log lie up to `maxPollIntervalMs`
   * when no wake-up comes.
   */
  readonly seenAgoMs: number | null;
  /** How long an open transaction has held up what lies behind it, in milliseconds; 0 when none does. */
  readonly heldUpForMs: number;
}

/** How one consumer is doing in this worker. */
export interface ConsumerHealth {
  readonly name: string;
  /** `"idle"`: somebody else runs it. `"claiming"`: given to this worker, not taken over yet. `"failed"`: stopped after failures. */
  readonly state: "idle" | "claiming" | "running" | "failed";
  /** This worker owns it. */
  readonly owned: boolean;
  /** Where it stands; null unless it runs or failed here. */
  readonly position: GlobalPosition | null;
  /**
   * Positions from there to the head of the log; 0 when it has handled everything. Those of other consumers' events and of appends
   * that were rolled back are counted too. Null while unknown: it does not run here, or what the worker knows of the log is too old.
   */
  readonly lag: bigint | null;
  /**
   * How long ago this worker saw the first event that the consumer has not passed, in milliseconds, by the worker's clock alone; 0
   * when it has passed all. Never more than the worker has run. Null while unknown.
   */
  readonly lagMs: number | null;
  /** Number of its take-overs; null unless it runs here. */
  readonly epoch: number | null;
  /** How often the events at hand have failed. */
  readonly failures: number;
  /** How long nothing but errors has come of it, transient ones included, in milliseconds; 0 when the last try went well. */
  readonly failingForMs: number;
  /** What stopped it, or failed last since it was taken over, even if that has been overcome; null when nothing has. */
  readonly lastError: unknown;
}

/** How one loop of a worker turns. */
export interface LoopHealth extends PulseReading {
  /** `"log"` follows the settled position, `"report"` is the heartbeat, `"election"` seeks and proves the leadership. */
  readonly name: "log" | "report" | "election" | "dispatcher";
}

/** What a worker's health is judged by. */
export interface HealthFacts extends Pick<WorkerHealth, "state" | "log" | "consumers" | "loops"> {
  /** Null while it does not run. */
  readonly dispatcher: DispatcherHealth | null;
  /** How long it has been starting, in milliseconds; 0 when it is not. */
  readonly startingForMs: number;
  /** How long there has been no line to the other workers, in milliseconds. */
  readonly disconnectedForMs: number;
  /** How long there has been one, in milliseconds. */
  readonly connectedForMs: number;
  /** How long no leader has been alive that could be replaced, in milliseconds. */
  readonly leaderMissingForMs: number;
  /** How long the log could not be followed, in milliseconds. */
  readonly logFailingForMs: number;
  readonly unhealthyAfterMs: number;
}

/** A loop that is overdue for longer than this hangs, in milliseconds: a statement alone may take 30 s on a dead line. */
const HUNG_AFTER_MS = 60_000;

/** Lists what is wrong, in words for people. Short trouble that mends itself is not worth a word. */
export function findProblems(facts: HealthFacts): readonly string[] {
  const { dispatcher, unhealthyAfterMs } = facts;
  const problems: string[] = [];
  for (const { name, state, position, failingForMs } of facts.consumers) {
    if (state === "failed")
      problems.push(`Consumer "${name}" has stopped at position ${position}: see its \`lastError\`.`);
    if (failingForMs > unhealthyAfterMs) problems.push(`Consumer "${name}" gets nowhere: every try fails.`);
  }
  if (dispatcher && !dispatcher.healthy) problems.push(dispatcher.problem ?? "The dispatcher does not wake.");
  if (facts.startingForMs > unhealthyAfterMs) {
    problems.push(
      "The start does not come to an end: the database cannot be reached, or the dispatcher cannot connect.",
    );
  }
  if (facts.disconnectedForMs > unhealthyAfterMs) problems.push("There is no line to the other workers.");
  if (facts.leaderMissingForMs > unhealthyAfterMs) {
    problems.push("No leader is alive, and no worker can become leader: a session that is gone still holds its lock.");
  }
  if (facts.logFailingForMs > unhealthyAfterMs) problems.push("The log cannot be followed.");
  if (facts.log.heldUpForMs > unhealthyAfterMs) {
    problems.push("A transaction that has appended stays open: what was appended after it waits.");
  }
  for (const { name, overdueMs } of facts.loops) {
    if (overdueMs > unhealthyAfterMs) problems.push(`The loop "${name}" does not turn: overdue by ${overdueMs} ms.`);
  }
  return problems;
}

/**
 * Tells whether the process is worth keeping.
 *
 * Two loops wait for answers of the database for as long as a statement may take. What they wait for is held against them only from
 * when the database answers this very worker on another connection, its line to the others: before, it is away, and a restart helps
 * nobody.
 */
export function isLive({ state, loops, connectedForMs }: HealthFacts): boolean {
  if (state === "stopped") return false;
  return loops.every(({ name, overdueMs }) => {
    const waitsForDatabase = name === "log" || name === "dispatcher";
    return (waitsForDatabase ? Math.min(overdueMs, connectedForMs) : overdueMs) <= HUNG_AFTER_MS;
  });
}
