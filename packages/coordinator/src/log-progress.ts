import type { Clock, GlobalPosition } from "@pup/core";

/** When the log had got how far, as this process saw it: the age of a consumer's backlog, without anybody else's clock. */
export interface LogProgress {
  /** The log is seen to reach up to there. */
  note(head: GlobalPosition): void;
  /** When the log was first seen beyond `position`, by the clock; null when it has not been. */
  beyondSince(position: GlobalPosition): number | null;
}

interface Sample {
  readonly head: GlobalPosition;
  readonly at: number;
  /** When it got as far as `head`: later than `at` where samples have been joined. */
  readonly until: number;
}

/** So many are kept as they are; then some are joined. */
const MAX_SAMPLES = 512;

/** What may be lost by joining: this share of the age, or so many milliseconds if that is more. Of a year, some 350 samples remain. */
const JOINED = { share: 0.05, ms: 1_000 };

/** Creates the progress of one log. */
export function createLogProgress(clock: Pick<Clock, "now">): LogProgress {
  let samples: readonly Sample[] = [];

  return {
    note(head) {
      const last = samples.at(-1);
      if (last?.head === head) return;
      // After a crash of the server, positions that were seen and not committed are drawn a second time.
      const kept = last && last.head > head ? samples.filter((sample) => sample.head < head) : samples;
      const all = [...kept, { head, at: clock.now(), until: clock.now() }];
      samples = all.length > MAX_SAMPLES ? join(all, clock.now()) : all;
    },
    beyondSince(position) {
      // The lowest one above: heads rise from one sample to the next.
      let low = 0;
      let high = samples.length;
      while (low < high) {
        const middle = (low + high) >>> 1;
        if ((samples[middle] as Sample).head > position) high = middle;
        else low = middle + 1;
      }
      return samples[low]?.at ?? null;
    },
  };
}

/** Joins samples that lie close together for their age: the time of the first, the reach of the last. A backlog is rather too old than too young. */
function join(samples: readonly Sample[], now: number): readonly Sample[] {
  const joined: Sample[] = [];
  for (const sample of samples) {
    const before = joined.at(-1);
    const near = before && sample.until - before.at <= Math.max(JOINED.ms, JOINED.share * (now - before.at));
    if (near) joined[joined.length - 1] = { ...sample, at: before.at };
    else joined.push(sample);
  }
  return joined;
}
