import type { Clock, Dispatcher, GlobalPosition } from "@pup/core";
import type { ConsumerSet, ConsumerState } from "./consumer-set.ts";
import {
  type ConsumerHealth,
  findProblems,
  isLive,
  type LogHealth,
  type LoopHealth,
  type WorkerHealth,
} from "./health.ts";
import type { Membership } from "./membership.ts";
import type { SettledTracker } from "./settled-tracker.ts";

/** The parts of a worker that know how it is doing. */
export interface HealthSources {
  readonly state: WorkerHealth["state"];
  /** Since when it has been starting, by the clock; null when it is not. */
  readonly startingSince: number | null;
  readonly tracker: Omit<SettledTracker, "run" | "waitAbove">;
  readonly consumers: Pick<ConsumerSet, "health">;
  /** Null before the start. */
  readonly membership: Omit<Membership, "run" | "join" | "leave" | "resign" | "control"> | null;
  readonly dispatcher: Pick<Dispatcher, "health">;
  readonly clock: Pick<Clock, "now">;
  readonly unhealthyAfterMs: number;
}

/**
 * A look at the log that takes longer than this, in milliseconds, leaves its last answer behind: what follows from it is unknown then,
 * and no longer what it was.
 */
const ANSWER_MS = 5_000;

/** Reads off how a worker is doing. */
export function readHealth(sources: HealthSources): WorkerHealth {
  const { state, tracker, membership, clock, unhealthyAfterMs } = sources;
  const since = (at: number | null | undefined) => (at === null || at === undefined ? null : clock.now() - at);
  const dispatcher = state === "running" ? sources.dispatcher.health() : null;

  const log: LogHealth = {
    settledPosition: tracker.position,
    headPosition: tracker.head,
    seenAgoMs: since(tracker.seenAt),
    heldUpForMs: since(tracker.heldUpSince) ?? 0,
  };
  // Nothing counts as known that has been asked for in vain: a backlog of 0 would be the last thing that was seen of a dead log.
  const isKnown = (tracker.pulse?.overdueMs ?? Number.POSITIVE_INFINITY) <= ANSWER_MS;
  const head = isKnown ? tracker.head : null;
  const facts = {
    state,
    log,
    consumers: sources.consumers
      .health()
      .map((consumer) => withLag(consumer, head, (at) => since(tracker.beyondSince(at)))),
    loops: readLoops({
      log: tracker.pulse,
      report: membership?.pulses.report,
      election: membership?.pulses.election,
      dispatcher: dispatcher?.pulse,
    }),
    dispatcher,
    startingForMs: (state === "starting" ? since(sources.startingSince) : null) ?? 0,
    disconnectedForMs: since(membership?.disconnectedSince) ?? 0,
    connectedForMs: since(membership?.connectedSince) ?? 0,
    leaderMissingForMs: since(membership?.leaderMissingSince) ?? 0,
    logFailingForMs: since(tracker.failingSince) ?? 0,
    unhealthyAfterMs,
  };
  const problems = findProblems(facts);
  return {
    state,
    live: isLive(facts),
    ready: state === "running" && problems.length === 0,
    problems,
    leads: membership?.leads ?? false,
    log,
    consumers: facts.consumers,
    loops: facts.loops,
  };
}

function withLag(
  consumer: ConsumerState,
  head: GlobalPosition | null,
  beyondForMs: (position: GlobalPosition) => number | null,
): ConsumerHealth {
  const { position } = consumer;
  if (position === null || head === null) return { ...consumer, lag: null, lagMs: null };
  const lag = head > position ? head - position : 0n;
  return { ...consumer, lag, lagMs: lag === 0n ? 0 : beyondForMs(position) };
}

function readLoops(pulses: Record<LoopHealth["name"], Omit<LoopHealth, "name"> | null | undefined>): LoopHealth[] {
  return (["log", "report", "election", "dispatcher"] as const).flatMap((name) => {
    const reading = pulses[name];
    return reading ? [{ name, ...reading }] : [];
  });
}
