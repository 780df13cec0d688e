import {
  backOffMs,
  beginSettling,
  type CheckpointStore,
  type Clock,
  createOutageLog,
  createPulse,
  createWakeUp,
  type EventLog,
  type EventSink,
  type GlobalPosition,
  type InFlightAppender,
  type InFlightAppenders,
  type Logger,
  observeAppenders,
  observeScan,
  type PulseReading,
  type Randomness,
  type ServerState,
  type SettledState,
  sleep,
  UnsupportedError,
  type WakeUp,
  type WorkerEvents,
} from "@pup/core";
import type { HeldPage } from "./batch-slice.ts";
import { createLogProgress } from "./log-progress.ts";

/** What the tracker needs. */
export interface SettledTrackerOptions {
  readonly store: EventLog & Pick<CheckpointStore, "greatestCheckpoint">;
  /** Rung by the dispatcher when something may be new. */
  readonly wakeUp: WakeUp;
  /** How many workers look at this log at the same time: the more there are, the slower each looks at a hole. */
  readonly liveWorkers: () => number;
  readonly pollIntervalMs: number;
  readonly maxPollIntervalMs: number;
  readonly clock: Clock;
  readonly random: Randomness;
  readonly logger: Logger;
  readonly events: EventSink<WorkerEvents>;
  /** Told of events that have become settled, where they were brought along for somebody who waits for them. */
  readonly onHead: (head: HeldPage) => void;
  /** Told that nothing is known any more of what was settled. */
  readonly onForgotten: () => void;
}

/** Follows the settled position for all consumers of a process: they read up to it, and ask it instead of the database. */
export interface SettledTracker {
  /** Everything at or below it can be read without missing anything; null until known, and again after a server restart. */
  readonly position: GlobalPosition | null;
  /**
   * Resolves when the position is known and above the one given, or the signal aborts.
   *
   * @param wants - which of the events that come are wanted
   */
  waitAbove(position: GlobalPosition, signal: AbortSignal, wants?: "none" | "some" | "all"): Promise<void>;
  /** Since when looking has failed, by the clock; null while it works. */
  readonly failingSince: number | null;
  /** Highest position that was seen, also behind a hole; null while `position` is. */
  readonly head: GlobalPosition | null;
  /** When the last look began that went well, by the clock; null when none has. */
  readonly seenAt: number | null;
  /** Since when the hole has been open that is waited for, by the clock; null when there is none. */
  readonly heldUpSince: number | null;
  /** When the log was first seen beyond the position, by the clock; null when it has not been. */
  beyondSince(position: GlobalPosition): number | null;
  /** Null while it does not run. */
  readonly pulse: PulseReading | null;
  /** Looks until the signal aborts. */
  run(signal: AbortSignal): Promise<void>;
}

/** What a look at the log brings along: more rarely comes at once, and a look has to stay quick. */
const HEAD_PAGE = { limit: 50, maxBytes: 64 * 1024 };
/** Consumers of some events for whom all are brought along: each of them would ask for its own. */
const SEVERAL = 3;

const ERROR_BACK_OFF = { initialMs: 100, maxMs: 5_000 };
const FIRST_ALARM_MS = 10_000;
const NEXT_ALARM_MS = 60_000;

/** Creates the tracker. */
export function createSettledTracker(options: SettledTrackerOptions): SettledTracker {
  const { store, wakeUp, liveWorkers, pollIntervalMs, maxPollIntervalMs, clock, random, logger, events } = options;

  let state: SettledState | null = null;
  let serverRun: string | null = null;
  let failingSince: number | null = null;
  // The hole that opens at the start spans the whole log above the checkpoints: what is missing there is old news.
  let startHole = false;
  let hole: { readonly upTo: GlobalPosition; readonly since: number; nextAlarm: number } | null = null;
  let seenAt: number | null = null;
  const advanced = createWakeUp(clock);
  const waiting = new Set<{ readonly position: GlobalPosition; readonly wants: "some" | "all" }>();
  const progress = createLogProgress(clock);
  const pulse = createPulse(clock);
  const outages = createOutageLog(logger, clock);

  /** One look at the log. */
  async function look(): Promise<{ gotFurther: boolean; sawAll: boolean }> {
    const before = state?.position ?? null;
    const beganAt = clock.now();
    const { seen, sawAll, head } = state ? await scan(state) : await begin();
    // Who is in flight must come from a statement that begins after the positions were read: in the same one, a
    // transaction could end in between and its event be missed. At the start it also tells whether the server can be trusted.
    const appenders = seen.hole || !state ? await trusted(store.inFlightAppenders()) : null;
    const settled = appenders ? observeAppenders(seen, appenders) : seen;
    state = settled;
    failingSince = null;
    seenAt = beganAt;
    progress.note(headOf(settled));
    if (head !== null) options.onHead(head);

    const gotFurther = before === null || settled.position > before;
    if (gotFurther) {
      events.emit("log:settled", { position: settled.position });
      advanced.ring();
    }
    await watchHole(seen, settled, appenders);
    return { gotFurther, sawAll };
  }

  async function begin() {
    const greatest = await store.greatestCheckpoint();
    const seen = beginSettling(greatest, await store.latestPosition());
    serverRun = null;
    startHole = seen.hole !== null;
    return { seen, sawAll: false, head: null };
  }

  async function scan(known: SettledState) {
    const { position: after } = known;
    const found = await trusted(store.scanPositions(after, isAwaited(known) ? HEAD_PAGE : undefined));
    const { page, contiguous } = found;
    return {
      seen: observeScan(known, found),
      sawAll: found.highest === contiguous,
      head: page && contiguous > after ? { after, page } : null,
    };
  }

  /** Whether what comes next is wanted at once. Behind a hole it has to be waited for anyway. */
  function isAwaited({ position, hole }: SettledState): boolean {
    if (hole) return false;
    const atHead = [...waiting].filter((one) => one.position === position);
    return atHead.length >= SEVERAL || atHead.some(({ wants }) => wants === "all");
  }

  async function trusted<Answer extends ServerState>(asked: Promise<Answer>): Promise<Answer> {
    const answer = await asked;
    if (answer.recovering) {
      throw new UnsupportedError("The database is a standby or recovers: the log cannot be followed there.");
    }
    if (serverRun !== null && answer.serverRun !== serverRun) {
      throw new ServerRestarted(
        "The database server has been restarted: what was known of transactions in flight is void.",
      );
    }
    serverRun = answer.serverRun;
    return answer;
  }

  async function watchHole(
    seen: SettledState,
    settled: SettledState,
    appenders: InFlightAppenders | null,
  ): Promise<void> {
    const closed = seen.hole !== null && settled.position > seen.position;
    const waitedMs = hole ? clock.now() - hole.since : 0;
    if (closed && !startHole) await reportGaps(seen.position, settled.position, waitedMs);
    if (closed || !settled.hole) startHole = false;
    if (!settled.hole) {
      hole = null;
      return;
    }
    // Under load one hole follows the other: each has a time of its own.
    if (hole?.upTo !== settled.hole.upTo) {
      hole = { upTo: settled.hole.upTo, since: clock.now(), nextAlarm: clock.now() + FIRST_ALARM_MS };
    }
    if (clock.now() < hole.nextAlarm) return;
    hole.nextAlarm = clock.now() + NEXT_ALARM_MS;
    for (const appender of appenders?.appenders ?? []) {
      if (settled.hole.waitingFor?.has(appender.id)) alarm(appender, clock.now() - hole.since);
    }
  }

  async function reportGaps(after: GlobalPosition, upTo: GlobalPosition, waitedMs: number): Promise<void> {
    const ranges = await store.missingPositions(after, upTo);
    if (ranges.length === 0) return;
    events.emit("log:gaps-closed", { ranges, waitedMs });
    logger.debug({ gaps: ranges.length, first: String(ranges[0]?.first), waitedMs }, "positions were rolled back");
  }

  function alarm({ pid, applicationName, prepared }: InFlightAppender, waitedMs: number): void {
    events.emit("log:held-up", { pid, applicationName, prepared, waitedMs });
    logger.warn(
      { pid, applicationName, prepared, waitedMs },
      "an open transaction that has appended holds consumers up",
    );
  }

  function forget(error: unknown, attempt: number): void {
    state = null;
    hole = null;
    options.onForgotten();
    failingSince ??= clock.now();
    // The first failure is often one lost connection: it is tried again at once and worth no line in a log.
    if (attempt > 1) outages.failed({ err: error, attempt }, "the log cannot be followed for now");
  }

  return {
    get position() {
      return state?.position ?? null;
    },
    get failingSince() {
      return failingSince;
    },
    get head() {
      return state && headOf(state);
    },
    get seenAt() {
      return seenAt;
    },
    get heldUpSince() {
      return hole?.since ?? null;
    },
    beyondSince: progress.beyondSince,
    get pulse() {
      return pulse.reading;
    },

    async waitAbove(position, signal, wants = "none") {
      const one = wants === "none" ? null : { position, wants };
      if (one) waiting.add(one);
      while (!signal.aborted) {
        const token = advanced.token();
        if (state && state.position > position) break;
        await advanced.wait(token, maxPollIntervalMs, signal);
      }
      if (one) waiting.delete(one);
    },

    async run(signal) {
      let failures = 0;
      let idleMs = pollIntervalMs;
      while (!signal.aborted) {
        const token = wakeUp.token();
        pulse.beat(0);
        let seen: { gotFurther: boolean; sawAll: boolean };
        try {
          seen = await look();
          if (failures > 1) outages.works({}, "the log can be followed again");
          failures = 0;
        } catch (error) {
          failures += 1;
          forget(error, failures);
          const retryInMs = backOffMs(failures, ERROR_BACK_OFF, random);
          pulse.beat(retryInMs);
          await sleep(clock, retryInMs, signal);
          continue;
        }
        if (seen.gotFurther) idleMs = pollIntervalMs;
        if (state?.hole) {
          const lookInMs = Math.max(10, liveWorkers() * 5);
          pulse.beat(lookInMs);
          await sleep(clock, lookInMs, signal);
        } else if (seen.sawAll) {
          pulse.beat(idleMs);
          const woken = await wakeUp.wait(token, idleMs, signal);
          idleMs = woken ? pollIntervalMs : Math.min(idleMs * 2, maxPollIntervalMs);
        }
      }
      pulse.end();
    },
  };
}

function headOf({ position, hole, behind }: SettledState): GlobalPosition {
  return behind.at(-1)?.upTo ?? hole?.upTo ?? position;
}

class ServerRestarted extends Error {
  override readonly name = "ServerRestarted";
}
