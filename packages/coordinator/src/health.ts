import type { DispatcherHealth } from "@pup/core";
import type { ConsumerHealth } from "./consumer-set.ts";

/** What a worker's health is judged by. */
export interface HealthFacts {
  readonly consumers: readonly ConsumerHealth[];
  /** Null while it does not run. */
  readonly dispatcher: DispatcherHealth | null;
  /** How long it has been starting, in milliseconds; 0 when it is not. */
  readonly startingForMs: number;
  /** How long there has been no line to the other workers, in milliseconds. */
  readonly disconnectedForMs: number;
  /** How long no leader has been alive that could be replaced, in milliseconds. */
  readonly leaderMissingForMs: number;
  /** How long the log could not be followed, in milliseconds. */
  readonly logFailingForMs: number;
  readonly unhealthyAfterMs: number;
}

/** Lists what is wrong, in words for people. Short trouble that mends itself is not worth a word. */
export function findProblems(facts: HealthFacts): readonly string[] {
  const problems: string[] = [];
  for (const { name, state, position, failingForMs } of facts.consumers) {
    if (state === "failed") problems.push(`Consumer "${name}" has stopped at position ${position}: see its \`error\`.`);
    if (failingForMs > facts.unhealthyAfterMs) problems.push(`Consumer "${name}" gets nowhere: every try fails.`);
  }
  if (facts.dispatcher && !facts.dispatcher.healthy) {
    problems.push(facts.dispatcher.problem ?? "The dispatcher does not wake.");
  }
  if (facts.startingForMs > facts.unhealthyAfterMs) {
    problems.push(
      "The start does not come to an end: the database cannot be reached, or the dispatcher cannot connect.",
    );
  }
  if (facts.disconnectedForMs > facts.unhealthyAfterMs) problems.push("There is no line to the other workers.");
  if (facts.leaderMissingForMs > facts.unhealthyAfterMs) {
    problems.push("No leader is alive, and no worker can become leader: a session that is gone still holds its lock.");
  }
  if (facts.logFailingForMs > facts.unhealthyAfterMs) problems.push("The log cannot be followed.");
  return problems;
}
