import {
  type AssignmentPlan,
  type ControlSession,
  type ControlSignal,
  InvalidStateError,
  type WorkerStatus,
} from "@pup/core";
import { createAdvisoryElection } from "./advisory-election.ts";
import type { Database, ServerSession } from "./database.ts";
import { dueAmong } from "./dead-letters.ts";
import { MemoryConnectionError } from "./errors.ts";
import { createLeaseElection } from "./lease-election.ts";

/** A control session that a test can cut off. */
export interface MemoryControlSession extends ControlSession {
  /** Worker that registered, or came back, through it last; null before. */
  readonly workerId: string | null;
  /** False once it was closed or lost. */
  readonly isOpen: boolean;
  /** Loses the session, as when its connection breaks: its locks are free at once. */
  kill(): void;
}

/** Opens a session. `run` brackets every call: it may wait, or refuse because the connection is gone. */
export function openControlSession(
  database: Database,
  run: <Result>(operation: string, act: () => Result) => Promise<Result>,
): MemoryControlSession {
  const { clock, workers, assignments, signals } = database;
  const lost = new AbortController();
  let over: Error | null = null;

  const end = (reason: Error, { inOrder }: { inOrder: boolean }) => {
    if (over) return;
    over = reason;
    database.sessions.delete(session);
    election.end(inOrder);
  };
  const session: ServerSession = {
    workerId: null,
    heartbeatTimeoutMs: null,
    livenessLocks: new Set(),
    terminate(error) {
      if (over) return;
      end(error, { inOrder: false });
      lost.abort(error);
    },
  };
  const election = database.sessionLocks
    ? createAdvisoryElection(database, session)
    : createLeaseElection(database, session);
  database.sessions.add(session);

  const call = <Result>(operation: string, act: () => Result): Promise<Result> =>
    run(operation, () => {
      if (over) throw over;
      return act();
    });
  const signal = (control: ControlSignal) => signals.emit("signal:control", { signal: control });

  return {
    lost: lost.signal,
    election: {
      driver: election.driver,
      leaseDurationMs: election.leaseDurationMs,
      tick: () => call("election.tick", () => election.tick()),
      get leaderMissing() {
        return election.leaderMissing;
      },
      resign: () => call("election.resign", () => election.resign()),
    },
    register: ({ workerId, consumers }) =>
      call("register", () => {
        session.workerId = workerId;
        workers.set(workerId, { consumers: [...consumers], heartbeatAtMs: clock.now() });
        if (database.sessionLocks) session.livenessLocks.add(workerId);
        signal("worker-joined");
        return database.sessionLocks;
      }),
    sync: ({ workerId, beat, heartbeatTimeoutMs }) =>
      call("sync", () => {
        session.heartbeatTimeoutMs = heartbeatTimeoutMs;
        const worker = workers.get(workerId);
        if (!worker) return null;
        if (beat) worker.heartbeatAtMs = clock.now();
        const silentSinceMs = clock.now() - heartbeatTimeoutMs;
        const assigned = [...assignments].filter(([, row]) => row.workerId === workerId).map(([consumer]) => consumer);
        return {
          assigned,
          deadLettersDue: dueAmong(database, assigned),
          ...(beat && { workers: statuses(database) }),
          liveWorkers: [...workers].filter(([id, row]) => id === workerId || row.heartbeatAtMs >= silentSinceMs).length,
        };
      }),
    holdLivenessLock: (workerId) =>
      call("holdLivenessLock", () => {
        session.workerId = workerId;
        if (database.sessionLocks) session.livenessLocks.add(workerId);
        return database.sessionLocks;
      }),
    deregister: (workerId) =>
      call("deregister", () => {
        strikeOff(database, workerId);
        // The leader looks at its workers; a leaver is news to it as much as a joiner.
        signal("worker-joined");
      }),
    observeWorkers: () => call("observeWorkers", () => statuses(database)),
    survey: () =>
      call("survey", () => ({
        workers: [...workers].map(([workerId, { consumers }]) => ({ workerId, consumers })),
        statuses: statuses(database),
        assignments: new Map([...assignments].map(([consumer, { workerId }]) => [consumer, workerId])),
      })),
    assign: (leadership, plan) =>
      call("assign", () => {
        if (!election.isHeld(leadership)) return false;
        assign(database, plan);
        signal("assignments-changed");
        return true;
      }),
    close() {
      const closed = new InvalidStateError("Expected a control session that is still open, but it was closed.");
      end(closed, { inOrder: true });
      return Promise.resolve();
    },

    get workerId() {
      return session.workerId;
    },
    get isOpen() {
      return over === null;
    },
    kill: () => session.terminate(new MemoryConnectionError("The control session was killed.")),
  };
}

function statuses({ workers, sessions, clock }: Database): readonly WorkerStatus[] {
  return [...workers].map(([workerId, { heartbeatAtMs }]) => ({
    workerId,
    heartbeatAgeMs: clock.now() - heartbeatAtMs,
    livenessLockHeld: [...sessions].some(({ livenessLocks }) => livenessLocks.has(workerId)),
  }));
}

function assign(database: Database, plan: AssignmentPlan): void {
  const { assignments, clock, workers } = database;
  for (const workerId of plan.dead) strikeOff(database, workerId);
  for (const consumer of [...assignments.keys()]) if (!plan.assignments.has(consumer)) assignments.delete(consumer);
  for (const [consumer, workerId] of plan.assignments) {
    const isNews = assignments.get(consumer)?.workerId !== workerId;
    if (isNews && workers.has(workerId)) assignments.set(consumer, { workerId, assignedAtMs: clock.now() });
  }
}

function strikeOff({ workers, assignments }: Database, workerId: string): void {
  workers.delete(workerId);
  for (const [consumer, row] of [...assignments]) if (row.workerId === workerId) assignments.delete(consumer);
}
