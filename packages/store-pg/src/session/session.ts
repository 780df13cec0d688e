import type { Notice, Sql } from "postgres";
import type { OpenClient } from "./client.ts";
import { concealData } from "./conceal-data.ts";
import { isConnectionError, isServerError } from "./connection-error.ts";
import { createLine, type OpenSocket } from "./line.ts";
import { asQuery, fail, type Query, swallow } from "./query.ts";
import { ConnectionFailedError, ConnectionLostError } from "./session-errors.ts";
import { explainUnprepared } from "./unprepared-statement.ts";

/** Told once when a query has its answer, or none. */
export type OnSettled = (failure?: { readonly error: unknown }) => void;

/**
 * One connection to the server, from its first statement to its end: once lost, it stays lost.
 *
 * It serves one unit of work at a time, a statement or a transaction. Statements sent without waiting are pipelined.
 */
export interface Session {
  /** Why nothing can be sent any more; undefined while the session is usable, or not yet connected. */
  readonly loss: Error | undefined;
  /** Process id of the backend, as the server told it; undefined before it is connected. A pooler tells one of its own. */
  readonly pid: number | undefined;
  /** True while an answer is outstanding. */
  readonly busy: boolean;
  /** By `performance.now()`. */
  readonly createdAt: number;
  /** Sends a query now. It connects first if need be. A lost session rejects it. */
  send(query: Query, onSettled?: OnSettled): void;
  /** Calls back at once when the session is lost. @returns its undo */
  watch(onLost: (loss: Error) => void): () => void;
  /** Takes no further queries; when the session is lost, `reason` is the reason. */
  doom(reason: Error): void;
  /** Ends the session in the orderly way if it can be done quickly, else by cutting the line. Never rejects. */
  close(reason: Error): Promise<void>;
  /** Cuts the line at once. What is running on the server may go on for a while. */
  cut(reason: Error): void;
}

export interface SessionSettings {
  readonly openClient: OpenClient;
  readonly openSocket: OpenSocket | undefined;
  readonly onNotice: (notice: Notice) => void;
}

const CLOSE_GRACE_MS = 1_000;

export function createSession({ openClient, openSocket, onNotice }: SessionSettings): Session {
  const createdAt = performance.now();
  const inFlight = new Set<Query>();
  const watchers = new Set<(loss: Error) => void>();
  let connected = false;
  let pid: number | undefined;
  let doom: Error | undefined;
  let loss: Error | undefined;

  const line = createLine(openSocket, lose);
  const client = openClient({
    socket: line.open,
    // Called before postgres.js looks for queries to send on a new connection.
    onClose: () => lose(),
    onNotice,
  });
  const execute = executorOf(client);

  function lose(cause?: unknown): void {
    const options = cause === undefined ? undefined : { cause };
    end(doom ?? (connected ? new ConnectionLostError(options) : new ConnectionFailedError(options)));
  }

  function end(reason: Error): void {
    if (loss !== undefined) return;
    loss = reason;
    line.cut();
    // postgres.js forgets those that still wait in its queue.
    for (const query of [...inFlight]) query.reject(reason);
    for (const onLost of [...watchers]) onLost(reason);
  }

  function send(query: Query, onSettled?: OnSettled): void {
    const { resolve, reject } = query;
    const refusal = loss ?? doom;
    if (refusal !== undefined) {
      fail(query, refusal);
      onSettled?.({ error: refusal });
      return;
    }
    inFlight.add(query);
    query.resolve = (value) => {
      if (!inFlight.delete(query)) return;
      note(query);
      resolve(value);
      onSettled?.();
    };
    query.reject = (reason) => {
      if (!inFlight.delete(query)) return;
      note(query);
      const error = judge(query, concealData(reason));
      swallow(query);
      reject(error);
      onSettled?.({ error });
    };
    execute(query);
  }

  function note({ state }: Query): void {
    if (state === null) return;
    connected = true;
    pid ??= state.pid;
  }

  /** The first statement of a session may be the one that takes too long. */
  function sentTo(): number | undefined {
    for (const { state } of inFlight) if (state !== null) return state.pid;
    return undefined;
  }

  /** What a failed query is told, and whether the session survives it. */
  function judge(query: Query, error: unknown): unknown {
    const { state } = query;
    // One that was never sent failed for want of a connection, whatever the error is called: TLS has names of its own.
    if (loss === undefined && (state === null || isConnectionError(error))) lose(error);
    if (loss !== undefined) return loss;
    // A query that postgres.js could not put together (an undefined value, say) takes its place among those sent but is
    // never answered: each one behind it would get the answer of another. And the one rejected is the one before it.
    if (!isServerError(error) && inFlight.size > 0) end(error instanceof Error ? error : new Error(String(error)));
    return explainUnprepared(query, error);
  }

  async function close(reason: Error): Promise<void> {
    if (loss !== undefined) return;
    doom ??= reason;
    let timer: NodeJS.Timeout | undefined;
    const grace = new Promise((resolve) => {
      timer = setTimeout(resolve, CLOSE_GRACE_MS);
    });
    await Promise.race([client.end().catch(() => undefined), grace]);
    clearTimeout(timer);
    end(reason);
  }

  return {
    get loss() {
      return loss;
    },
    get pid() {
      return pid ?? sentTo();
    },
    get busy() {
      return inFlight.size > 0;
    },
    createdAt,
    send,
    watch(onLost) {
      watchers.add(onLost);
      return () => watchers.delete(onLost);
    },
    doom(reason) {
      doom ??= reason;
    },
    close,
    cut: end,
  };
}

/** What a client does with the queries it makes: a query of another client can be executed by it as well. */
function executorOf(client: Sql): (query: Query) => void {
  return asQuery(client.unsafe("")).handler;
}
