import type { Clock } from "./clock.ts";
import type { Logger } from "./logger.ts";

/**
 * Tells people of an outage that goes on, without filling their log: however often something is tried, and however often it
 * comes and goes, one warning in 30 seconds at most. What is told less often stands in the log at level debug.
 */
export interface OutageLog {
  /** It failed, perhaps for the hundredth time. */
  failed(facts: Readonly<Record<string, unknown>>, message: string): void;
  /** It works. At level info if the last that people were told is something else. */
  works(facts: Readonly<Record<string, unknown>>, message: string): void;
}

const WARN_EVERY_MS = 30_000;

/**
 * Creates the log of one thing that can fail: a connection, a loop.
 *
 * @example
 * ```ts
 * const outages = createOutageLog(logger, clock);
 * outages.failed({ err: new Error("no answer"), retryInMs: 100 }, "cannot ask for the latest position");
 * outages.works({}, "the database answers again");
 * ```
 */
export function createOutageLog(logger: Logger, clock: Pick<Clock, "now">): OutageLog {
  let warnedAtMs = Number.NEGATIVE_INFINITY;
  let told: "failed" | "works" | null = null;
  /** Failures since the last warning. */
  let untold = 0;

  return {
    failed(facts, message) {
      if (clock.now() - warnedAtMs < WARN_EVERY_MS) {
        untold += 1;
        logger.debug(facts, message);
        return;
      }
      logger.warn(untold > 0 ? { ...facts, untold } : facts, message);
      warnedAtMs = clock.now();
      told = "failed";
      untold = 0;
    },
    works(facts, message) {
      logger[told === "works" ? "debug" : "info"](facts, message);
      told = "works";
    },
  };
}
