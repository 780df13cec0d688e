import type { Session } from "./session.ts";

/**
 * Ends what runs on a session, and the session with it. Resolves when nothing of it can run any more; never rejects.
 *
 * @param reason - what the session's outstanding queries are told
 * @param pid - backend to end, where the session's own word is a pooler's
 */
export type EndBackend = (session: Session, reason: Error, pid?: number) => Promise<void>;

/** Asks the server to end a backend. @returns false when there is none of ours by that number */
export type TerminateBackend = (pid: number) => Promise<boolean>;

/** How long the server may take, in milliseconds. Afterwards the line is cut, and the server finds out by itself. */
export const END_BACKEND_GRACE_MS = 5_000;

/**
 * The server is asked over another connection, and the session's own tells when it is done: a backend gives up its
 * transaction and its locks before it hangs up.
 */
export function createBackendEnder(terminate: TerminateBackend): EndBackend {
  return async (session, reason, pid = session.pid) => {
    if (session.loss !== undefined) return;
    session.doom(reason);
    await new Promise<void>((resolve) => {
      const cut = () => session.cut(reason);
      const timer = setTimeout(cut, END_BACKEND_GRACE_MS);
      session.watch(() => {
        clearTimeout(timer);
        resolve();
      });
      // Not connected yet: there is nothing on the server that could be ended.
      if (pid === undefined) cut();
      else terminate(pid).then((found) => found || cut(), cut);
    });
  };
}
