import type { DeadLetterFailure } from "@pup/core";

// Enough for people to find the place; an error may carry a whole document.
const MAX_MESSAGE_LENGTH = 4_000;
const MAX_STACK_LENGTH = 16_000;
const MAX_CAUSES = 5;

/** Says what an attempt came to, in texts that can be kept: the message, and the stack with those of the causes. */
export function describeFailure(error: unknown): DeadLetterFailure {
  const message = error instanceof Error ? error.message || error.name : String(error);
  const stacks: string[] = [];
  for (let cause = error; cause instanceof Error && stacks.length <= MAX_CAUSES; cause = cause.cause) {
    stacks.push(cause.stack ?? String(cause));
  }
  return {
    message: message.slice(0, MAX_MESSAGE_LENGTH),
    stack: stacks.length === 0 ? null : stacks.join("\nCaused by: ").slice(0, MAX_STACK_LENGTH),
  };
}
