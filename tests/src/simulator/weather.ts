import type { Clock } from "@pup/core";

/** What holds for everybody at one time. */
export interface Weather {
  /** The true time, by which the server lives. */
  readonly time: Clock;
  /** Whether things go wrong at the moment. */
  isRough: boolean;
}
