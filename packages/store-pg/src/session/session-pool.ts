import { InvalidStateError } from "@pup/core";
import type { Session } from "./session.ts";

/** A bounded number of sessions, each lent to one user at a time. A lost one is replaced when the next user comes. */
export interface SessionPool {
  /** A session at once, if one is free. */
  take(): Session | undefined;
  /**
   * A session as soon as it is the caller's turn: first come, first served.
   *
   * @throws the signal's reason when it aborts, {@link InvalidStateError} when the pool is closed
   */
  wait(signal?: AbortSignal): Promise<Session>;
  /** Gives a session back: at rest, with no transaction and no answer outstanding, or lost. */
  release(session: Session): void;
  /**
   * Takes no more users, gives those who are there `graceMs` to finish, then ends their sessions with `evict`. Resolves when
   * every session is closed.
   */
  close(graceMs: number, evict: (session: Session, reason: Error) => Promise<void>): Promise<void>;
}

export interface SessionPoolOptions {
  readonly max: number;
  readonly open: () => Session;
  /** Age at which a session is replaced, in milliseconds. */
  readonly maxLifetimeMs: number;
}

interface Waiter {
  readonly resolve: (session: Session) => void;
  readonly reject: (error: unknown) => void;
}

export function createSessionPool({ max, open, maxLifetimeMs }: SessionPoolOptions): SessionPool {
  const idle: Session[] = [];
  const waiters = new Set<Waiter>();
  const closings = new Set<Promise<void>>();
  const lent = new Set<Session>();
  let closed = false;
  let onAllReturned: (() => void) | undefined;

  function take(): Session | undefined {
    return closed ? undefined : lend();
  }

  function lend(): Session | undefined {
    // The one used last; those that are not needed grow old.
    let session = idle.pop();
    while (session !== undefined && !isUsable(session)) session = idle.pop();
    if (session === undefined && lent.size >= max) return undefined;
    session ??= open();
    lent.add(session);
    return session;
  }

  /** Neither lost nor too old; an old one is closed on the side. */
  function isUsable(session: Session): boolean {
    if (session.loss !== undefined) return false;
    if (!closed && performance.now() - session.createdAt < maxLifetimeMs) return true;
    dismiss(session);
    return false;
  }

  function dismiss(session: Session): void {
    const closing = session.close(closedError()).finally(() => closings.delete(closing));
    closings.add(closing);
  }

  async function wait(signal?: AbortSignal): Promise<Session> {
    signal?.throwIfAborted();
    if (closed) throw closedError();
    const session = take();
    if (session !== undefined) return session;

    return new Promise((resolve, reject) => {
      const giveUp = () => {
        waiters.delete(waiter);
        reject(signal?.reason);
      };
      const done = () => signal?.removeEventListener("abort", giveUp);
      const waiter: Waiter = {
        resolve: (free) => {
          done();
          resolve(free);
        },
        reject: (error) => {
          done();
          reject(error);
        },
      };
      waiters.add(waiter);
      signal?.addEventListener("abort", giveUp, { once: true });
    });
  }

  function release(session: Session): void {
    lent.delete(session);
    if (isUsable(session)) idle.push(session);
    if (lent.size === 0) onAllReturned?.();
    serveWaiters();
  }

  /** As far as sessions go, so that whoever comes next finds none that somebody waits for. */
  function serveWaiters(): void {
    for (const waiter of waiters) {
      try {
        const session = lend();
        if (session === undefined) return;
        waiter.resolve(session);
      } catch (error) {
        waiter.reject(error);
      }
      waiters.delete(waiter);
    }
  }

  async function close(graceMs: number, evict: (session: Session, reason: Error) => Promise<void>): Promise<void> {
    closed = true;
    for (const waiter of waiters) waiter.reject(closedError());
    waiters.clear();
    for (const session of idle.splice(0)) dismiss(session);
    if (lent.size > 0) {
      const evictAll = () => void Promise.all([...lent].map((session) => evict(session, closedError())));
      const timer = setTimeout(evictAll, graceMs);
      await new Promise<void>((resolve) => {
        onAllReturned = resolve;
      });
      clearTimeout(timer);
    }
    await Promise.all(closings);
  }

  return { take, wait, release, close };
}

function closedError(): InvalidStateError {
  return new InvalidStateError("The connections to PostgreSQL are closed.");
}
