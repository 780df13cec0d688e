import {
  type Clock,
  type ControlSession,
  type Pulse,
  type Randomness,
  sleep,
  type WakeUp,
  type WorkerView,
} from "@pup/core";
import type { LeaderWatch } from "./leader-watch.ts";
import { createLeadershipDuty, type LeadershipOptions } from "./leadership.ts";

/** What a worker is to the others, from one line to the next. */
export interface Standing {
  /** Leads no more, and wants to be given nothing. */
  resigned: boolean;
  /** What the others believe that this worker has. */
  offered: readonly string[];
  /** Has been registered before. */
  joined: boolean;
  /** Workers seen alive at the last report, this one included; at least 1. */
  liveWorkers: number;
}

/** What a line needs. */
export interface LineOptions extends LeadershipOptions {
  readonly standing: Standing;
  /** Names of the consumers that the leader may give to this worker; none for a single run beside the fleet. */
  readonly consumers: readonly string[];
  readonly heartbeatIntervalMs: number;
  readonly electionIntervalMs: number;
  readonly assignmentPollMs: number;
  readonly clock: Clock;
  readonly random: Randomness;
  /** Rung when others have told something. */
  readonly news: { readonly forMember: WakeUp; readonly forLeader: WakeUp };
  readonly watch: LeaderWatch;
  /** Of its two loops, from one line to the next. */
  readonly pulses: { readonly report: Pulse; readonly election: Pulse };
  /** Waits for an answer, for a limited time. */
  readonly ask: <T>(what: string, work: () => Promise<T>) => Promise<T>;
  /** Told whenever the worker has learned what it is to run. */
  readonly onAssigned: (consumers: readonly string[], deadLettersDue: readonly string[]) => void;
}

/** What a worker says and hears on one control session. */
export interface Line {
  readonly session: ControlSession;
  readonly leads: boolean;
  /** Makes the worker known, or known again. */
  greet(): Promise<void>;
  /** Reports, stands for election and leads until the session is lost or the signal aborts. Rejects with what broke the line. */
  serve(signal: AbortSignal): Promise<void>;
  /** Leads no more, in memory only: for when the session is lost. */
  stepDown(): void;
  /** Strikes the worker off, and gives the leadership up. Nothing to do on a session that is lost. */
  signOff(): Promise<void>;
}

/** Share by which the times between two statements differ: workers that were started together would ask all at once. */
const JITTER = 0.1;

/** Creates the worker's side of a control session. */
export function createLine(options: LineOptions): Line {
  const { workerId, session, standing, heartbeatIntervalMs, heartbeatTimeoutMs, electionIntervalMs } = options;
  const { consumers, news, watch, pulses, clock, random, logger, events, ask } = options;
  const duty = createLeadershipDuty(options);

  const spread = (intervalMs: number) => intervalMs * (1 + JITTER * random.fraction());

  function sync(beat: boolean): Promise<WorkerView | null> {
    return ask("the heartbeat", () => session.sync({ workerId, beat, heartbeatTimeoutMs }));
  }

  async function register(): Promise<void> {
    standing.offered = standing.resigned ? [] : consumers;
    // Struck off, it owns nothing any more, even if the same is given to it again at once: what it runs must be taken over anew.
    if (standing.joined) options.onAssigned([], []);
    const held = await ask("registering", () => session.register({ workerId, consumers: standing.offered }));
    if (!held) await holdLivenessLock();
    if (standing.joined) {
      events.emit("worker:rejoined", { workerId });
      logger.warn({ workerId }, "had been struck off as dead; registered again");
    }
    standing.joined = true;
  }

  /** Stays registered: what still runs here keeps its owner alive. */
  async function withdraw(): Promise<void> {
    await ask("withdrawing", () => session.register({ workerId, consumers: [] }));
    standing.offered = [];
  }

  async function holdLivenessLock(): Promise<void> {
    const held = await ask("taking the liveness lock", () => session.holdLivenessLock(workerId));
    if (!held) logger.debug({ workerId }, "sessions hold no locks here: heartbeats alone tell who is alive");
  }

  /** Reports and learns, until the signal aborts. */
  async function report(signal: AbortSignal): Promise<void> {
    const everyMs = Math.min(options.assignmentPollMs, heartbeatIntervalMs);
    let lastBeat = Number.NEGATIVE_INFINITY;
    while (!signal.aborted) {
      const token = news.forMember.token();
      pulses.report.beat(0);
      if (standing.resigned && standing.offered.length > 0) await withdraw();
      const askedAt = clock.now();
      const beat = askedAt - lastBeat >= heartbeatIntervalMs;
      const view = await sync(beat);
      if (signal.aborted) return;
      if (!view) {
        await register();
        continue;
      }
      if (beat) lastBeat = askedAt;
      await getToKnow(view);
      standing.liveWorkers = Math.max(1, view.liveWorkers);
      options.onAssigned(view.assigned, view.deadLettersDue);
      const nextInMs = spread(everyMs);
      pulses.report.beat(nextInMs);
      await news.forMember.wait(token, nextInMs, signal);
    }
  }

  /** Followers know the others too: who has never seen a worker hold its lock cannot miss it as leader. */
  async function getToKnow({ workers, liveWorkers }: WorkerView): Promise<void> {
    if (duty.leads) return;
    if (workers) duty.observe(workers);
    else if (liveWorkers !== standing.liveWorkers) await ask("looking at workers", () => duty.look());
  }

  async function tick(): Promise<void> {
    await ask("the election", () => duty.tick());
    watch.note(session.election.leaderMissing);
  }

  /** Stands for election and leads, until the signal aborts. */
  async function lead(signal: AbortSignal): Promise<void> {
    let nextTick = Number.NEGATIVE_INFINITY;
    let nextLook = Number.NEGATIVE_INFINITY;
    let told = false;
    while (!signal.aborted && !standing.resigned) {
      const token = news.forLeader.token();
      pulses.election.beat(0);
      if (clock.now() >= nextTick) {
        nextTick = clock.now() + spread(electionIntervalMs);
        await tick();
      }
      if (!duty.leads) nextLook = Number.NEGATIVE_INFINITY;
      else if (!signal.aborted && (told || clock.now() >= nextLook)) {
        nextLook = clock.now() + options.livenessIntervalMs;
        await ask("leading", () => duty.look({ news: told }));
      }
      const until = (at: number) => Math.max(1, at - clock.now());
      const waitMs = until(duty.leads ? Math.min(nextTick, nextLook) : nextTick);
      pulses.election.beat(waitMs);
      told = await news.forLeader.wait(token, waitMs, signal);
      // News of workers matter to the leader alone; a follower goes on waiting for its turn.
      if (told && !duty.leads) await sleep(clock, until(nextTick), signal);
    }
    pulses.election.end();
    if (standing.resigned && duty.leads && !signal.aborted) await ask("resigning", () => duty.resign());
  }

  return {
    session,
    get leads() {
      return duty.leads;
    },

    async greet() {
      const known = standing.joined && (await sync(true)) !== null;
      if (known) await holdLivenessLock();
      else await register();
    },

    async serve(signal) {
      const { lost } = session;
      const ended = new AbortController();
      const end = () => ended.abort();
      signal.addEventListener("abort", end);
      lost.addEventListener("abort", end);
      if (signal.aborted || lost.aborted) end();
      try {
        const parts = [report(ended.signal), lead(ended.signal)];
        for (const part of parts) part.catch(end);
        const outcomes = await Promise.allSettled(parts);
        for (const outcome of outcomes) if (outcome.status === "rejected") throw outcome.reason;
        if (lost.aborted && !signal.aborted) throw lost.reason;
      } finally {
        pulses.election.end();
        signal.removeEventListener("abort", end);
        lost.removeEventListener("abort", end);
      }
    },

    stepDown: () => duty.stepDown(),

    async signOff() {
      if (session.lost.aborted) return;
      await ask("deregistering", () => session.deregister(workerId));
      await ask("resigning", () => duty.resign());
    },
  };
}
