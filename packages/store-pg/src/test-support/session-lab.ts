import { createDatabase } from "@pup/testing/postgres";
import postgres, { type ISql, type Sql } from "postgres";
import { expect, inject, onTestFinished } from "vitest";
import { createSessions, type Sessions } from "../session/create-sessions.ts";
import type { SessionsOptions } from "../session/options.ts";

/** Tables that the tests make. */
export interface LabTables {
  halves: { run: number; half: number };
  notes: { id: number; body: string | null };
}

/** A database for one test file, with somebody who watches it from outside and can end sessions. */
export interface SessionLab {
  readonly url: string;
  /** A plain client, of which nobody ends the sessions. */
  readonly admin: Sql;
  /** Sessions on this database, closed when the test is over. */
  open(options?: Partial<SessionsOptions>): Sessions<LabTables>;
  /** Ends a backend and waits until it is gone. */
  kill(pid: number): Promise<void>;
  /** Waits until a backend is gone. */
  gone(pid: number): Promise<void>;
  /** Number of sessions that the store under test has on the server. */
  countSessions(): Promise<number>;
  close(): Promise<void>;
}

/** How the server calls the sessions under test. */
export const APPLICATION_NAME = "pup session lab";

export async function openSessionLab(serverUrl = inject("postgresUrl")): Promise<SessionLab> {
  const database = await createDatabase(serverUrl);
  const admin = postgres(database.url, { max: 4, fetch_types: false, onnotice: () => undefined });
  async function gone(pid: number): Promise<void> {
    const isAlive = async () => (await admin`select from pg_stat_activity where pid = ${pid}`).length > 0;
    await expect.poll(isAlive, { interval: 5, timeout: 10_000 }).toBe(false);
  }

  return {
    url: database.url,
    admin,
    open(options = {}) {
      const sessions = createSessions<LabTables>({
        connection: database.url,
        applicationName: APPLICATION_NAME,
        ...options,
      });
      onTestFinished(() => sessions.close({ timeoutMs: 0 }));
      return sessions;
    },
    async kill(pid) {
      await admin`select pg_terminate_backend(${pid})`;
      await gone(pid);
    },
    gone,
    async countSessions() {
      const [row] = await admin<{ count: number }[]>`
        select count(*)::int from pg_stat_activity
        where datname = current_database() and application_name = ${APPLICATION_NAME}`;
      return row?.count ?? 0;
    },
    async close() {
      await admin.end();
      await database.drop();
    },
  };
}

/** Process id of the backend that a handle reaches. */
export async function backendPid(sql: ISql): Promise<number> {
  const [row] = await sql<{ pid: number }[]>`select pg_backend_pid() as pid`;
  if (row === undefined) throw new Error("Expected a row.");
  return row.pid;
}

/** What became of a promise: its value, or the code of its error. */
export function outcomeOf(promise: PromiseLike<unknown>): Promise<unknown> {
  return Promise.resolve(promise).then(
    (value) => ({ value }),
    (error: { code?: string; message?: string }) => error.code ?? error.message,
  );
}

/** A promise to be settled by hand. */
export function deferred<T = void>(): { promise: Promise<T>; resolve: (value: T) => void } {
  let resolve: (value: T) => void = () => undefined;
  const promise = new Promise<T>((settle) => {
    resolve = settle;
  });
  return { promise, resolve };
}

/** Fails the test when something in it would have ended the process. */
export function expectNoCrash(): void {
  const crashes: unknown[] = [];
  const note = (error: unknown) => crashes.push(error);
  process.on("uncaughtException", note).on("unhandledRejection", note);
  onTestFinished(async () => {
    // What postgres.js throws from a timer comes a turn later.
    await new Promise((resolve) => setImmediate(resolve));
    process.off("uncaughtException", note).off("unhandledRejection", note);
    expect(crashes).toEqual([]);
  });
}
