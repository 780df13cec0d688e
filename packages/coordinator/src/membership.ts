import {
  backOffMs,
  type Clock,
  type ControlSession,
  type ControlSignal,
  type Coordination,
  createWakeUp,
  type ElectionDriver,
  type EventSink,
  InvalidOptionError,
  type LeaderElection,
  type Logger,
  type Randomness,
  sleep,
  type WorkerEvents,
  type WorkerView,
} from "@pup/core";
import { createLeadershipDuty, type LeadershipDuty } from "./leadership.ts";
import { withTimeLimit } from "./time-limit.ts";

/** What a worker's membership in the fleet needs. */
export interface MembershipOptions {
  readonly workerId: string;
  /** Names of the consumers that the leader may give to this worker; none for a single run beside the fleet. */
  readonly consumers: readonly string[];
  readonly store: Coordination;
  readonly heartbeatIntervalMs: number;
  readonly heartbeatTimeoutMs: number;
  readonly rebalanceIntervalMs: number;
  readonly electionIntervalMs: number;
  readonly livenessIntervalMs: number;
  readonly assignmentPollMs: number;
  readonly sticky: boolean;
  readonly clock: Clock;
  readonly random: Randomness;
  readonly logger: Logger;
  readonly events: EventSink<WorkerEvents>;
  /** Told whenever the worker has learned what it is to run. */
  readonly onAssigned: (consumers: readonly string[], deadLettersDue: readonly string[]) => void;
}

/** A worker's place among the others: registered, heard of, perhaps leading. */
export interface Membership {
  readonly leads: boolean;
  /** Workers seen alive at the last report, this one included; at least 1. */
  readonly liveWorkers: number;
  /** Since when there is no line to the others, by the clock; null while there is one. */
  readonly disconnectedSince: number | null;
  /**
   * Connects for the first time. Rejects with what went wrong; trying again is the caller's part.
   *
   * @returns false when the signal aborted before
   */
  join(signal: AbortSignal): Promise<boolean>;
  /** Keeps the membership up, through lost connections, until the signal aborts. */
  run(signal: AbortSignal): Promise<void>;
  /** Something that another worker told: look sooner. */
  control(signal: ControlSignal): void;
  /** Leads no more and has no consumers to be given any more: others lead, and run what has ended here, while this one drains. */
  resign(): void;
  /** Strikes the worker off and closes the line. Best effort: the others find out by themselves. */
  leave(): Promise<void>;
}

interface Line {
  readonly session: ControlSession;
  readonly duty: LeadershipDuty;
}

const RECONNECT_BACK_OFF = { initialMs: 100, maxMs: 5_000 };

/** A line that lived shorter than this, in milliseconds, counts as a failed attempt: some connect and break at once. */
const STABLE_AFTER_MS = 10_000;

/** A leader renews its lease with every tick, and may miss some: a slow answer must not cost the leadership. */
const TICKS_PER_LEASE = 3;

/** Creates the membership of one worker. */
export function createMembership(options: MembershipOptions): Membership {
  const { workerId, consumers, store, heartbeatIntervalMs, heartbeatTimeoutMs, clock, random, logger, events } =
    options;
  // A call that hangs must not cost the ownership that heartbeats keep.
  const answerLimitMs = Math.max(1, Math.min(5_000, Math.floor(heartbeatTimeoutMs / 3)));
  const newsForMember = createWakeUp(clock);
  const newsForLeader = createWakeUp(clock);
  let line: Line | null = null;
  let resigned = consumers.length === 0;
  /** What the others believe that this worker has. */
  let offered = consumers;
  let joined = false;
  let liveWorkers = 1;
  let disconnectedSince: number | null = null;
  let driver: ElectionDriver | null = null;

  const ask = <T>(what: string, work: () => Promise<T>) => withTimeLimit(clock, answerLimitMs, what, work);

  async function connect(signal: AbortSignal): Promise<Line> {
    const session = await open(signal);
    try {
      noteElection(session.election);
      const known = joined && (await ask("the heartbeat", () => sync(session, true))) !== null;
      if (!known) await register(session);
      else await holdLivenessLock(session);
    } catch (error) {
      await close(session);
      throw error;
    }
    disconnectedSince = null;
    return { session, duty: createLeadershipDuty({ ...options, session }) };
  }

  async function open(signal: AbortSignal): Promise<ControlSession> {
    const opening = store.openControlSession({ signal });
    try {
      return await ask("opening the control session", () => opening);
    } catch (error) {
      // One that opens after all is nobody's any more.
      opening.then(close).catch(() => undefined);
      throw error;
    }
  }

  /** @throws {@link InvalidOptionError} when leases run out between two ticks: every worker would lead in turn */
  function noteElection(election: LeaderElection): void {
    const { electionIntervalMs } = options;
    const { leaseDurationMs } = election;
    if (leaseDurationMs !== undefined && leaseDurationMs < TICKS_PER_LEASE * electionIntervalMs) {
      throw new InvalidOptionError(
        `Expected \`electionIntervalMs\` to fit ${TICKS_PER_LEASE} times into the store's \`leaseDurationMs\` ` +
          `(${leaseDurationMs}), got ${electionIntervalMs}.`,
      );
    }
    if (driver === election.driver) return;
    driver = election.driver;
    events.emit("leader:election-chosen", { workerId, driver });
    logger.info({ workerId, driver }, driver === "lease" ? "leaders hold a lease" : "leaders hold a session's lock");
  }

  function sync(session: ControlSession, beat: boolean): Promise<WorkerView | null> {
    return session.sync({ workerId, beat, heartbeatTimeoutMs });
  }

  async function register(session: ControlSession): Promise<void> {
    offered = resigned ? [] : consumers;
    await ask("registering", () => session.register({ workerId, consumers: offered }));
    await holdLivenessLock(session);
    if (joined) {
      events.emit("worker:rejoined", { workerId });
      logger.warn({ workerId }, "had been struck off as dead; registered again");
    }
    joined = true;
  }

  /** Stays registered: what still runs here keeps its owner alive. */
  async function withdraw(session: ControlSession): Promise<void> {
    await ask("withdrawing", () => session.register({ workerId, consumers: [] }));
    offered = [];
  }

  async function holdLivenessLock(session: ControlSession): Promise<void> {
    const held = await ask("taking the liveness lock", () => session.holdLivenessLock(workerId));
    if (!held) logger.debug({ workerId }, "sessions hold no locks here: heartbeats alone tell who is alive");
  }

  async function close(session: ControlSession): Promise<void> {
    await ask("closing the control session", () => session.close()).catch((error: unknown) => {
      logger.debug({ workerId, err: error }, "the control session did not close in time");
    });
  }

  /** Reports and learns, until the signal aborts. */
  async function report({ session, duty }: Line, signal: AbortSignal): Promise<void> {
    const everyMs = Math.min(options.assignmentPollMs, heartbeatIntervalMs);
    let lastBeat = Number.NEGATIVE_INFINITY;
    while (!signal.aborted) {
      const token = newsForMember.token();
      if (resigned && offered.length > 0) await withdraw(session);
      const beat = clock.now() - lastBeat >= heartbeatIntervalMs;
      const view = await ask("the heartbeat", () => sync(session, beat));
      if (signal.aborted) return;
      if (view) {
        // Followers look too, if rarely: who has never seen a worker hold its lock cannot miss it as leader.
        if (!duty.leads && (beat || view.liveWorkers !== liveWorkers))
          await ask("looking at workers", () => duty.look());
        if (beat) lastBeat = clock.now();
        liveWorkers = Math.max(1, view.liveWorkers);
        options.onAssigned(view.assigned, view.deadLettersDue);
      } else {
        options.onAssigned([], []);
        await register(session);
        continue;
      }
      await newsForMember.wait(token, everyMs, signal);
    }
  }

  /** Stands for election and leads, until the signal aborts. */
  async function lead({ duty }: Line, signal: AbortSignal): Promise<void> {
    let lastTick = Number.NEGATIVE_INFINITY;
    let news = false;
    while (!signal.aborted && !resigned) {
      const token = newsForLeader.token();
      if (clock.now() - lastTick >= options.electionIntervalMs) {
        lastTick = clock.now();
        await ask("the election", () => duty.tick());
      }
      if (duty.leads && !signal.aborted) await ask("leading", () => duty.look({ news }));
      const untilTick = lastTick + options.electionIntervalMs - clock.now();
      const waitMs = duty.leads ? Math.min(untilTick, options.livenessIntervalMs) : untilTick;
      news = await newsForLeader.wait(token, Math.max(1, waitMs), signal);
      // News of workers matter to the leader alone; a follower goes on waiting for its turn.
      if (news && !duty.leads)
        await sleep(clock, Math.max(1, lastTick + options.electionIntervalMs - clock.now()), signal);
    }
    if (resigned && duty.leads && !signal.aborted) await ask("resigning", () => duty.resign());
  }

  /** Serves one line until it breaks or the signal aborts. Rejects with what broke it. */
  async function serve(served: Line, signal: AbortSignal): Promise<void> {
    const ended = new AbortController();
    const end = () => ended.abort();
    signal.addEventListener("abort", end);
    served.session.lost.addEventListener("abort", end);
    if (signal.aborted || served.session.lost.aborted) end();
    try {
      const parts = [report(served, ended.signal), lead(served, ended.signal)];
      for (const part of parts) part.catch(end);
      const outcomes = await Promise.allSettled(parts);
      for (const outcome of outcomes) if (outcome.status === "rejected") throw outcome.reason;
      if (served.session.lost.aborted && !signal.aborted) throw served.session.lost.reason;
    } finally {
      signal.removeEventListener("abort", end);
      served.session.lost.removeEventListener("abort", end);
    }
  }

  async function hangUp(): Promise<void> {
    if (!line) return;
    const { session, duty } = line;
    line = null;
    duty.stepDown();
    await close(session);
  }

  return {
    get leads() {
      return line?.duty.leads ?? false;
    },
    get liveWorkers() {
      return liveWorkers;
    },
    get disconnectedSince() {
      return disconnectedSince;
    },

    async join(signal) {
      if (signal.aborted) return false;
      try {
        line = await connect(signal);
      } catch (error) {
        if (!signal.aborted) throw error;
      }
      return line !== null;
    },

    async run(signal) {
      let failures = 0;
      let troubleSince = clock.now();
      while (!signal.aborted) {
        const beganAt = clock.now();
        try {
          line ??= await connect(signal);
          await serve(line, signal);
        } catch (error) {
          if (signal.aborted) break;
          const wasStable = clock.now() - beganAt >= STABLE_AFTER_MS;
          failures = wasStable ? 1 : failures + 1;
          if (failures === 1) troubleSince = clock.now();
          disconnectedSince = troubleSince;
          const retryInMs = backOffMs(failures, RECONNECT_BACK_OFF, random);
          events.emit("worker:disconnected", { workerId, error, retryInMs });
          logger.warn({ workerId, err: error, retryInMs }, "the line to the other workers broke");
          await hangUp();
          await sleep(clock, retryInMs, signal);
        }
      }
    },

    control(signal) {
      if (signal === "assignments-changed" || signal === "dead-letters-due") newsForMember.ring();
      if (signal === "worker-joined") newsForLeader.ring();
    },

    resign() {
      resigned = true;
      newsForLeader.ring();
      newsForMember.ring();
    },

    async leave() {
      const leaving = line;
      try {
        if (leaving && !leaving.session.lost.aborted) {
          await ask("deregistering", () => leaving.session.deregister(workerId));
          await ask("resigning", () => leaving.duty.resign());
        }
      } catch (error) {
        logger.warn({ workerId, err: error }, "could not sign off; the others will notice");
      } finally {
        await hangUp();
      }
    },
  };
}
