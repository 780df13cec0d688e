import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import type { ControlSession, ControlSignal, WorkerRegistration } from "@pup/core";
import { executeWith, type SqlSession } from "../execute.ts";
import type { ElectionSetting } from "../options.ts";
import type { Tables } from "../schema/tables.ts";
import { createAdvisoryElection } from "./advisory-election.ts";
import { createAssignConsumers } from "./assign-consumers.ts";
import { createElectionChoice } from "./choose-election.ts";
import { createDeregisterWorker } from "./deregister-worker.ts";
import { createLeaseElection } from "./lease-election.ts";
import { createLivenessLock } from "./liveness-lock.ts";
import { createObserveWorkers } from "./observe-workers.ts";
import { createRegisterWorker } from "./register-worker.ts";
import { inTurn } from "./session-election.ts";
import { createSurveyWorkers } from "./survey-workers.ts";
import { createSyncWorker } from "./sync-worker.ts";

/** A control session on PostgreSQL. */
export interface PgControlSession extends ControlSession {
  /** Server process that runs the session: its row in `pg_stat_activity` and `pg_locks`. Behind a pooler, that of the moment. */
  readonly backendPid: number;
}

export interface ControlSessionOptions {
  readonly tables: Tables;
  /** Opens a connection for the session alone. */
  readonly openSession: (options: { readonly signal?: AbortSignal | undefined }) => Promise<SqlSession>;
  /** Channel that workers hear signals on; undefined to send none. */
  readonly channel: string | undefined;
  readonly election: ElectionSetting;
  readonly leaseDurationMs: number;
  readonly applicationPrefix: string;
}

/** Silence that counts as long as no worker has said what counts, in milliseconds: for the removal of rows long dead. */
const UNKNOWN_HEARTBEAT_TIMEOUT_MS = 30_000;

/** Time for giving a lease up when its session is closed, in milliseconds. Else it runs out by itself. */
const RESIGN_LIMIT_MS = 500;

/** Makes what opens control sessions: one connection each, outside of the pools. */
export function createOpenControlSession(options: ControlSessionOptions) {
  const { tables, openSession, channel, leaseDurationMs, applicationPrefix } = options;
  const electionChoice = createElectionChoice({ setting: options.election, openSession });
  const registerWorker = createRegisterWorker(tables);
  const syncWorker = createSyncWorker(tables);
  const observeWorkers = createObserveWorkers(tables);
  const surveyWorkers = createSurveyWorkers(tables);
  const assignConsumers = createAssignConsumers(tables);
  const deregisterWorker = createDeregisterWorker(tables);

  return async ({ signal }: { readonly signal?: AbortSignal } = {}): Promise<PgControlSession> => {
    const session = await openSession({ signal });
    const driver = await electionChoice.choose(session, signal).catch(async (error: unknown) => {
      await session.close();
      throw error;
    });
    const execute = executeWith(session.sql);
    // Where a lease is needed, or asked for, sessions hold no locks: a pooler would leave them behind on a backend of others.
    const livenessLock = driver === "advisory" ? createLivenessLock(tables, session) : null;
    let ownerId: string = randomUUID();
    let heartbeatTimeoutMs: number | null = null;

    const context = {
      tables,
      execute,
      ownerId: () => ownerId,
      heartbeatTimeoutMs: () => heartbeatTimeoutMs,
    };
    const election = inTurn(
      driver === "advisory"
        ? createAdvisoryElection({
            ...context,
            pid: session.pid,
            lost: session.lost,
            refute: electionChoice.refute,
            applicationPrefix,
          })
        : createLeaseElection({ ...context, leaseDurationMs }),
    );

    /** A lock goes with its session, a lease outlives it. */
    async function giveUpLease(): Promise<void> {
      if (driver !== "lease" || election.leader === null || session.lost.aborted) return;
      const limit = new AbortController();
      const resigned = election.resign().catch(() => undefined);
      await Promise.race([resigned, sleep(RESIGN_LIMIT_MS, undefined, limit).catch(() => undefined)]);
      limit.abort();
    }

    /**
     * Tells the other workers, after the commit of what there is to tell. Never rejects: a notification is a hint, and when the
     * server's queue is full, NOTIFY fails its transaction. Where the session was lost, the next call says so.
     */
    async function tell(control: ControlSignal): Promise<void> {
      if (channel === undefined) return;
      await execute("SELECT pg_notify($1::text, $2::text)", [channel, control]).catch(() => undefined);
    }

    return {
      backendPid: session.pid,
      lost: session.lost,
      election,
      async register(worker: WorkerRegistration) {
        ownerId = worker.workerId;
        // Row and lock become visible together.
        const held = await session.transaction(async ({ sql }) => {
          const run = executeWith(sql);
          await registerWorker(run, worker, heartbeatTimeoutMs ?? UNKNOWN_HEARTBEAT_TIMEOUT_MS);
          return (await livenessLock?.tryHold(run, worker.workerId)) ?? false;
        });
        await tell("worker-joined");
        return held;
      },
      async sync(request) {
        heartbeatTimeoutMs = request.heartbeatTimeoutMs;
        return syncWorker(execute, request);
      },
      async holdLivenessLock(workerId) {
        session.lost.throwIfAborted();
        // Whoever comes back over a new session leads in its own name too: under another one nobody would hear of it.
        ownerId = workerId;
        return livenessLock === null ? false : livenessLock.hold(workerId);
      },
      async deregister(workerId) {
        await deregisterWorker(execute, workerId);
        // The leader looks at its workers; one that has left is news to it as much as one that has come.
        await tell("worker-joined");
      },
      observeWorkers: () => observeWorkers(execute),
      survey: () => surveyWorkers(execute),
      async assign({ term }, plan) {
        const leader = { term, ownerId: election.leader?.ownerId ?? ownerId };
        const changes = await assignConsumers(session.transaction, leader, plan);
        if (changes !== null && changes > 0) await tell("assignments-changed");
        return changes !== null;
      },
      async close() {
        await giveUpLease();
        await session.close();
      },
    };
  };
}
