import {
  backOffMs,
  type ControlSession,
  type ControlSignal,
  type Coordination,
  createOutageLog,
  createPulse,
  createWakeUp,
  type ElectionDriver,
  InvalidOptionError,
  type LeaderElection,
  type PulseReading,
  type Randomness,
  sleep,
} from "@pup/core";
import { createLeaderWatch } from "./leader-watch.ts";
import { createLine, type Line, type LineOptions, type Standing } from "./line.ts";
import { withTimeLimit } from "./time-limit.ts";

/** What a worker's membership in the fleet needs. */
export interface MembershipOptions
  extends Omit<LineOptions, "session" | "standing" | "news" | "watch" | "pulses" | "ask"> {
  readonly store: Coordination;
  readonly unhealthyAfterMs: number;
  readonly random: Randomness;
}

/** A worker's place among the others: registered, heard of, perhaps leading. */
export interface Membership {
  readonly leads: boolean;
  /** Workers seen alive at the last report, this one included; at least 1. */
  readonly liveWorkers: number;
  /** Since when there is no line to the others, by the clock; null while there is one. */
  readonly disconnectedSince: number | null;
  /** Since when there is one, by the clock; null while there is none. */
  readonly connectedSince: number | null;
  /** Of its loops; each null while it does not run. */
  readonly pulses: { readonly report: PulseReading | null; readonly election: PulseReading | null };
  /** Since when there has been no leader, nor could this worker become it, by the clock; null while it is not so. */
  readonly leaderMissingSince: number | null;
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

const RECONNECT_BACK_OFF = { initialMs: 100, maxMs: 5_000 };

/** A line that lived shorter than this, in milliseconds, counts as a failed attempt: some connect and break at once. */
const STABLE_AFTER_MS = 10_000;

/** A leader renews its lease with every tick, and may miss some: a slow answer must not cost the leadership. */
const TICKS_PER_LEASE = 3;

/** Creates the membership of one worker: keeps a line to the others up, whatever becomes of single ones. */
export function createMembership(options: MembershipOptions): Membership {
  const { workerId, consumers, store, heartbeatTimeoutMs, clock, random, logger, events } = options;
  // A call that hangs must not cost the ownership that heartbeats keep.
  const answerLimitMs = Math.max(1, Math.min(5_000, Math.floor(heartbeatTimeoutMs / 3)));
  const ask: LineOptions["ask"] = (what, work) => withTimeLimit(clock, answerLimitMs, what, work);
  const news = { forMember: createWakeUp(clock), forLeader: createWakeUp(clock) };
  const watch = createLeaderWatch(options);
  const pulses = { report: createPulse(clock), election: createPulse(clock) };
  const outages = createOutageLog(logger, clock);
  const standing: Standing = { resigned: consumers.length === 0, offered: consumers, joined: false, liveWorkers: 1 };
  let line: Line | null = null;
  let hasLeft = false;
  let disconnectedSince: number | null = null;
  let connectedSince: number | null = null;
  let driver: ElectionDriver | null = null;

  async function connect(signal: AbortSignal): Promise<Line> {
    const session = await open(signal);
    try {
      noteElection(session.election);
      const opened = createLine({ ...options, session, standing, news, watch, pulses, ask });
      await opened.greet();
      disconnectedSince = null;
      connectedSince = clock.now();
      return opened;
    } catch (error) {
      await close(session);
      throw error;
    }
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

  async function close(session: ControlSession): Promise<void> {
    await ask("closing the control session", () => session.close()).catch((error: unknown) => {
      logger.debug({ workerId, err: error }, "the control session did not close in time");
    });
  }

  async function hangUp(): Promise<void> {
    if (!line) return;
    const { session, stepDown } = line;
    line = null;
    connectedSince = null;
    stepDown();
    await close(session);
  }

  async function leave(): Promise<void> {
    hasLeft = true;
    try {
      await line?.signOff();
    } catch (error) {
      logger.warn({ workerId, err: error }, "could not sign off; the others will notice");
    } finally {
      await hangUp();
    }
  }

  /** Stopping does not wait for a slow database: a line that stands only after the worker has left has nobody else to end it. */
  async function setUp(signal: AbortSignal): Promise<void> {
    line = await connect(signal);
    if (hasLeft) await leave();
  }

  return {
    get leads() {
      return line?.leads ?? false;
    },
    get liveWorkers() {
      return standing.liveWorkers;
    },
    get disconnectedSince() {
      return disconnectedSince;
    },
    get connectedSince() {
      return connectedSince;
    },
    get pulses() {
      return { report: pulses.report.reading, election: pulses.election.reading };
    },
    get leaderMissingSince() {
      return watch.missingSince;
    },

    async join(signal) {
      if (signal.aborted) return false;
      try {
        await setUp(signal);
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
        pulses.report.beat(0);
        try {
          if (!line) await setUp(signal);
          if (failures > 0) outages.works({ workerId }, "the line to the other workers stands again");
          await line?.serve(signal);
        } catch (error) {
          if (signal.aborted) break;
          const wasStable = clock.now() - beganAt >= STABLE_AFTER_MS;
          failures = wasStable ? 1 : failures + 1;
          if (failures === 1) troubleSince = clock.now();
          disconnectedSince = troubleSince;
          const retryInMs = backOffMs(failures, RECONNECT_BACK_OFF, random);
          events.emit("worker:disconnected", { workerId, error, retryInMs });
          outages.failed({ workerId, err: error, retryInMs }, "the line to the other workers broke");
          await hangUp();
          pulses.report.beat(retryInMs);
          await sleep(clock, retryInMs, signal);
        }
      }
      pulses.report.end();
    },

    control(signal) {
      if (signal === "assignments-changed" || signal === "dead-letters-due") news.forMember.ring();
      if (signal === "worker-joined") news.forLeader.ring();
    },

    resign() {
      standing.resigned = true;
      news.forLeader.ring();
      news.forMember.ring();
    },

    leave,
  };
}
