import type { EventRecording } from "../record-events.ts";
import { findEmitted } from "./find-emitted.ts";
import type { PayloadPattern } from "./payload-pattern.ts";

type AnyEvents = Record<string, unknown>;

/** What a matcher answers, in the form that jest and vitest share. */
export interface MatcherResult {
  readonly pass: boolean;
  message(): string;
}

/**
 * Matchers for recordings, for every `expect` that can be extended: `expect.extend(emitterMatchers)` in jest. With vitest,
 * `import "@pup/testing/vitest"` does that and brings the types.
 *
 * @example
 * ```ts
 * expect.extend(emitterMatchers);
 * expect(recorded).toHaveEmitted("batch:committed", { consumer: "orders.v1" });
 * expect(recorded).toHaveEmittedTimes(4, "batch:failed");
 * ```
 */
export const emitterMatchers = {
  /** An event with this name, and a payload with these parts, was emitted at least once. */
  toHaveEmitted(received: unknown, name: string, pattern?: PayloadPattern<unknown>): MatcherResult {
    const { count, wanted, list } = findEmitted(requireRecording(received), name, pattern);
    return {
      pass: count > 0,
      message: () =>
        count > 0
          ? `Expected ${wanted} not to have been emitted, but it was, ${times(count)}.\n\n${list}`
          : `Expected ${wanted} to have been emitted, but it was not.\n\n${list}`,
    };
  },

  /** The same, exactly so many times. */
  toHaveEmittedTimes(
    received: unknown,
    expected: number,
    name: string,
    pattern?: PayloadPattern<unknown>,
  ): MatcherResult {
    const { count, wanted, list } = findEmitted(requireRecording(received), name, pattern);
    return {
      pass: count === expected,
      message: () =>
        count === expected
          ? `Expected ${wanted} not to have been emitted exactly ${times(count)}.\n\n${list}`
          : `Expected ${wanted} to have been emitted ${times(expected)}, but it was ${times(count)}.\n\n${list}`,
    };
  },
};

function requireRecording(received: unknown): EventRecording<AnyEvents> {
  if (Array.isArray((received as EventRecording<AnyEvents> | null | undefined)?.all)) {
    return received as EventRecording<AnyEvents>;
  }
  throw new TypeError("Expected what `recordEvents` returns: `expect(recordEvents(worker.events))`.");
}

function times(count: number): string {
  return count === 1 ? "once" : `${count} times`;
}
