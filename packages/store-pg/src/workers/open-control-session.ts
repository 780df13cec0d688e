import { randomUUID } from "node:crypto";
import type { ControlSession, ControlSignal, WorkerRegistration } from "@pup/core";
import { type Execute, executeWith, type SqlSession } from "../execute.ts";
import type { Tables } from "../schema/tables.ts";
import { createAdvisoryElection } from "./advisory-election.ts";
import { createAssignConsumers } from "./assign-consumers.ts";
import { createDeregisterWorker } from "./deregister-worker.ts";
import { createLivenessLock } from "./liveness-lock.ts";
import { createObserveWorkers } from "./observe-workers.ts";
import { createRegisterWorker } from "./register-worker.ts";
import { createSurveyWorkers } from "./survey-workers.ts";
import { createSyncWorker } from "./sync-worker.ts";

/** A control session on PostgreSQL. */
export interface PgControlSession extends ControlSession {
  /** Server process that runs the session: its row in `pg_stat_activity` and `pg_locks`. */
  readonly backendPid: number;
}

export interface ControlSessionOptions {
  readonly tables: Tables;
  /** Opens a connection for the session alone. */
  readonly openSession: (options: { readonly signal?: AbortSignal | undefined }) => Promise<SqlSession>;
  /** Channel that workers hear signals on; undefined to send none. */
  readonly channel: string | undefined;
  readonly applicationPrefix: string;
}

/** Silence that counts as long as no worker has said what counts, in milliseconds: for the removal of rows long dead. */
const UNKNOWN_HEARTBEAT_TIMEOUT_MS = 30_000;

/** Makes what opens control sessions: one connection each, outside of the pools. */
export function createOpenControlSession(options: ControlSessionOptions) {
  const { tables, openSession, channel, applicationPrefix } = options;
  const registerWorker = createRegisterWorker(tables);
  const syncWorker = createSyncWorker(tables);
  const observeWorkers = createObserveWorkers(tables);
  const surveyWorkers = createSurveyWorkers(tables);
  const assignConsumers = createAssignConsumers(tables, channel);
  const deregisterWorker = createDeregisterWorker(tables);

  return async ({ signal }: { readonly signal?: AbortSignal } = {}): Promise<PgControlSession> => {
    const session = await openSession({ signal });
    const execute = executeWith(session.sql);
    const livenessLock = createLivenessLock(tables, session);
    let ownerId: string = randomUUID();
    let heartbeatTimeoutMs: number | null = null;

    const election = createAdvisoryElection({
      tables,
      execute,
      pid: session.pid,
      lost: session.lost,
      ownerId: () => ownerId,
      heartbeatTimeoutMs: () => heartbeatTimeoutMs,
      applicationPrefix,
    });

    async function tell(run: Execute, control: ControlSignal): Promise<void> {
      if (channel !== undefined) await run("SELECT pg_notify($1::text, $2::text)", [channel, control]);
    }

    return {
      backendPid: session.pid,
      lost: session.lost,
      election,
      async register(worker: WorkerRegistration) {
        ownerId = worker.workerId;
        // Row, lock and word become visible together.
        await session.transaction(async ({ sql }) => {
          const run = executeWith(sql);
          await registerWorker(run, worker, heartbeatTimeoutMs ?? UNKNOWN_HEARTBEAT_TIMEOUT_MS);
          await livenessLock.tryHold(run, worker.workerId);
          await tell(run, "worker-joined");
        });
      },
      async sync(request) {
        heartbeatTimeoutMs = request.heartbeatTimeoutMs;
        return syncWorker(execute, request);
      },
      holdLivenessLock: (workerId) => livenessLock.hold(workerId),
      async deregister(workerId) {
        await deregisterWorker(execute, workerId);
        // The leader looks at its workers; one that has left is news to it as much as one that has come.
        await tell(execute, "worker-joined");
      },
      observeWorkers: () => observeWorkers(execute),
      survey: () => surveyWorkers(execute),
      assign: ({ term }, plan) =>
        assignConsumers(session.transaction, { term, ownerId: election.leader?.ownerId ?? ownerId }, plan),
      close: () => session.close(),
    };
  };
}
