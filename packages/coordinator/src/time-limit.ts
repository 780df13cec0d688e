import { type Clock, isPupError, PupError } from "@pup/core";

/** The database did not answer in time. */
class NoAnswerError extends PupError {
  override readonly name = "NoAnswerError";
  readonly code = "PUP_NO_ANSWER";
}

/** True when it was {@link withTimeLimit} that gave up: a database that is slow today, not one that refuses. */
export function isNoAnswer(error: unknown): boolean {
  return isPupError(error) && error.code === "PUP_NO_ANSWER";
}

/** A timer that fires later than this, in milliseconds, tells that the process stood still: blocked, or stopped by a signal. */
const STOOD_STILL_MS = 100;

/** Time for reading what has come while the process stood still, in milliseconds. */
const READ_MS = 250;

/**
 * Gives up waiting for `work` after `limitMs` milliseconds; what it still does is nobody's business then. A process that stood
 * still finds its timers first and the answers afterwards: it reads them before it says that there were none.
 */
export async function withTimeLimit<T>(
  clock: Clock,
  limitMs: number,
  what: string,
  work: () => Promise<T>,
): Promise<T> {
  let cancel = (): void => undefined;
  const late = new Promise<never>((_, reject) => {
    const refuse = () => reject(new NoAnswerError(`Expected an answer to ${what} within ${limitMs} ms.`));
    const dueAt = clock.now() + limitMs;
    cancel = clock.after(limitMs, () => {
      if (clock.now() - dueAt < STOOD_STILL_MS) refuse();
      else cancel = clock.after(READ_MS, refuse);
    });
  });
  try {
    return await Promise.race([work(), late]);
  } finally {
    cancel();
  }
}
