import {
  assignConsumers,
  type Clock,
  type ControlSession,
  type EventSink,
  type Leadership,
  type Logger,
  type Survey,
  type WorkerEvents,
  type WorkerStatus,
} from "@pup/core";
import { createFailureDetector, type DeadWorker } from "./failure-detector.ts";

/** What the leader's part of a worker needs. */
export interface LeadershipOptions {
  readonly workerId: string;
  readonly session: ControlSession;
  readonly heartbeatTimeoutMs: number;
  readonly livenessIntervalMs: number;
  readonly rebalanceIntervalMs: number;
  readonly sticky: boolean;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly events: EventSink<WorkerEvents>;
}

/** A worker's part in leading: wins and proves the leadership, and does the leader's work while it has it. */
export interface LeadershipDuty {
  readonly leads: boolean;
  /** Tries to become leader, or proves that it still is. */
  tick(): Promise<void>;
  /** Takes in who is there, as a follower: who has never seen a worker hold its lock cannot miss it as leader. */
  observe(workers: readonly WorkerStatus[]): void;
  /**
   * Looks who is there. As leader: strikes off the dead and deals the consumers out anew where needed, with `news` of a worker
   * also when the same ones are there: what they have can be another.
   */
  look(told?: { readonly news: boolean }): Promise<void>;
  /** Gives up leading, in memory only: for when the session is lost. */
  stepDown(): void;
  /** Gives up leading so that another worker can begin at once. */
  resign(): Promise<void>;
}

/** Creates the leader's part for one control session. */
export function createLeadershipDuty(options: LeadershipOptions): LeadershipDuty {
  const { workerId, session, rebalanceIntervalMs, sticky, clock, logger, events } = options;
  const detector = createFailureDetector(options);
  let leadership: Leadership | null = null;
  /** The session is lost or given up: what still answers comes too late. */
  let over = false;
  let dealt: { readonly workers: string; readonly at: number } | null = null;

  function set(answer: Leadership | null): void {
    const next = over ? null : answer;
    if (leadership?.term === next?.term) return;
    if (leadership) {
      events.emit("leader:lost", { workerId, term: leadership.term });
      logger.info({ workerId, term: leadership.term }, "leads no more");
    }
    leadership = next;
    dealt = null;
    if (next) {
      events.emit("leader:acquired", { workerId, term: next.term });
      logger.info({ workerId, term: next.term }, "leads");
    }
  }

  async function deal(
    held: Leadership,
    survey: Survey,
    dead: ReadonlyMap<string, DeadWorker["reason"]>,
  ): Promise<void> {
    const alive = survey.workers.filter((worker) => !dead.has(worker.workerId));
    const assignments = assignConsumers(alive, sticky ? survey.assignments : undefined);
    if (dead.size === 0 && sameDeal(assignments, survey.assignments)) return;

    const done = await session.assign(held, { assignments, dead: [...dead.keys()] });
    if (!done) return set(null);
    for (const [deadId, reason] of dead) {
      events.emit("leader:worker-died", { workerId: deadId, reason });
      logger.warn({ workerId: deadId, reason }, "a worker died; its consumers go to others");
    }
    events.emit("leader:assigned", { term: held.term, assignments: Object.fromEntries(assignments) });
    logger.info({ term: held.term, consumers: assignments.size, workers: alive.length }, "consumers dealt out");
  }

  return {
    get leads() {
      return leadership !== null;
    },
    async tick() {
      set(await session.election.tick());
    },
    observe: (workers) => void detector.observe(workers),
    async look({ news } = { news: false }) {
      const due = news || dealt === null || clock.now() - dealt.at >= rebalanceIntervalMs;
      // Who deals sees in the same snapshot who is there.
      const survey = leadership && due ? await session.survey() : null;
      const workers = survey?.statuses ?? (await session.observeWorkers());
      const dead = new Map(detector.observe(workers).map((worker) => [worker.workerId, worker.reason]));
      if (!leadership) return;
      const present = fingerprint(workers);
      if (survey === null && dealt?.workers === present && dead.size === 0) return;
      await deal(leadership, survey ?? (await session.survey()), dead);
      dealt = { workers: present, at: clock.now() };
    },
    stepDown() {
      over = true;
      set(null);
    },
    async resign() {
      if (!leadership) return;
      set(null);
      await session.election.resign();
    },
  };
}

function fingerprint(workers: readonly WorkerStatus[]): string {
  return workers
    .map(({ workerId }) => workerId)
    .sort()
    .join();
}

function sameDeal(a: ReadonlyMap<string, string>, b: ReadonlyMap<string, string>): boolean {
  return a.size === b.size && [...a].every(([consumer, workerId]) => b.get(consumer) === workerId);
}
