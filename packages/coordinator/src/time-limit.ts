import { type Clock, isPupError, PupError } from "@pup/core";

/** The database did not answer in time. */
class NoAnswerError extends PupError {
  override readonly name = "NoAnswerError";
  readonly code = "PUP_NO_ANSWER";
}

/** Whether an error says that the database did not answer in time. Which the store cannot know: it may answer yet. */
export function isNoAnswer(error: unknown): boolean {
  return isPupError(error) && error.code === "PUP_NO_ANSWER";
}

/** Gives up waiting for `work` after `limitMs` milliseconds; what it still does is nobody's business then. */
export async function withTimeLimit<T>(
  clock: Clock,
  limitMs: number,
  what: string,
  work: () => Promise<T>,
): Promise<T> {
  let cancel = (): void => undefined;
  const late = new Promise<never>((_, reject) => {
    cancel = clock.after(limitMs, () =>
      reject(new NoAnswerError(`Expected an answer to ${what} within ${limitMs} ms.`)),
    );
  });
  try {
    return await Promise.race([work(), late]);
  } finally {
    cancel();
  }
}
