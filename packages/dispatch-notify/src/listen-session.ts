import { type Clock, sleep } from "@pup/core";
import type { Sql } from "postgres";
import type { Server } from "./server.ts";

/** A connection that listens. It is one session for as long as it lives: when it is lost it stays lost. */
export interface ListenSession {
  /** Aborted, with the reason, as soon as the session is known to be lost. */
  readonly lost: AbortSignal;
  /** Declares it lost. */
  lose(reason: Error): void;
  /** Sends a notification without payload and waits until the server has taken it. */
  notify(channel: string): Promise<void>;
  /** Ends the session; resolves when the server has closed it, or after a second. Twice is fine. */
  close(): Promise<void>;
}

/** What {@link openListenSession} needs. */
export interface ListenRequest {
  readonly server: Server;
  /** Channels to listen on; none for a session that only sends. */
  readonly channels: readonly string[];
  onNotification(channel: string, payload: string): void;
  readonly clock: Clock;
  /** Gives up, also while connecting. */
  readonly signal: AbortSignal;
}

/** Time for password, connection, authentication and LISTEN together, in milliseconds. */
const OPEN_TIMEOUT_MS = 10_000;

/** What the server says of a notification for which its queue has no room (program_limit_exceeded). */
const QUEUE_FULL = "54000";

/** How long the end may take in good order, in milliseconds. */
const CLOSE_GRACE_MS = 1_000;

/**
 * Opens a session that listens.
 *
 * @throws what the server or the network said, or the reason of `signal`; nothing is left open then
 */
export async function openListenSession(request: ListenRequest): Promise<ListenSession> {
  const { server, channels, onNotification, clock, signal } = request;
  signal.throwIfAborted();
  const lost = new AbortController();
  let client: Sql | undefined;

  const lose = (reason: Error) => {
    if (lost.signal.aborted) return;
    lost.abort(reason);
    // Rejects what waits for an answer. The socket has been destroyed by the signal.
    client?.end({ timeout: 0 }).catch(() => undefined);
  };
  const giveUp = () => lose(signal.reason);
  signal.addEventListener("abort", giveUp, { once: true });
  const cancelDeadline = clock.after(OPEN_TIMEOUT_MS, () =>
    lose(new Error(`Expected the server to let us listen within ${OPEN_TIMEOUT_MS} ms.`)),
  );

  const open = async () => {
    client = await server.createClient({
      onNotification,
      onClose: () => lose(new Error("The connection was closed.")),
      signal: lost.signal,
    });
    lost.signal.throwIfAborted();
    await client.unsafe(channels.map((channel) => `listen ${quoteChannel(channel)}`).join("; ") || "select 1");
    return client;
  };

  try {
    const connected = await untilAborted(open(), lost.signal);
    const session = { lost: lost.signal, lose };
    return { ...session, notify: notifyThrough(connected, session.lost), close: closeOf(connected, session, clock) };
  } catch (error) {
    lose(error as Error);
    throw error;
  } finally {
    cancelDeadline();
    signal.removeEventListener("abort", giveUp);
  }
}

function notifyThrough(client: Sql, lost: AbortSignal): ListenSession["notify"] {
  const run = (text: string) => untilAborted(client.unsafe(text), lost);
  return async (channel) => {
    lost.throwIfAborted();
    try {
      await run(`notify ${quoteChannel(channel)}`);
    } catch (error) {
      // The server throws away what everybody has read while it takes a new notification, which it does not as long as the
      // queue is full: it would stay full for ever, with nobody left who reads too slowly. This question makes it look.
      if ((error as { code?: unknown }).code === QUEUE_FULL) await run("select pg_notification_queue_usage()");
      throw error;
    }
  };
}

function closeOf(
  client: Sql,
  { lost, lose }: Pick<ListenSession, "lost" | "lose">,
  clock: Clock,
): ListenSession["close"] {
  return async () => {
    if (lost.aborted) return;
    const over = new AbortController();
    await Promise.race([client.end(), sleep(clock, CLOSE_GRACE_MS, AbortSignal.any([lost, over.signal]))]);
    over.abort();
    lose(new Error("The session was closed."));
  };
}

/** Quotes a channel's name, so that it stays what it is: unquoted it would be folded to lower case and end at the first dot. */
function quoteChannel(channel: string): string {
  return `"${channel.replaceAll('"', '""')}"`;
}

/** The outcome of the promise, or the reason of the signal if that comes first. */
function untilAborted<Result>(promise: Promise<Result>, signal: AbortSignal): Promise<Result> {
  return new Promise((resolve, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
    promise.then(resolve, reject);
  });
}
