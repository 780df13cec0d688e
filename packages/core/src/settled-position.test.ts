import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { InFlightAppender } from "./event-log.ts";
import { createLogModel, type LogModel } from "./log-model.fixture.ts";
import { beginSettling, observeAppenders, observeScan, type SettledState } from "./settled-position.ts";

/** What can happen between two looks of a tracker. */
type Step =
  | { readonly do: "begin" }
  | { readonly do: "draw" | "prepare" | "becomeVisible" | "letGo"; readonly which: number }
  | { readonly do: "look" };

// About as many transactions end as begin, so that often few or none are open.
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.constant({ do: "begin" } as const) },
  {
    weight: 12,
    arbitrary: fc.record({
      do: fc.constantFrom(
        "draw",
        "draw",
        "draw",
        "draw",
        "prepare",
        "becomeVisible",
        "becomeVisible",
        "letGo",
        "letGo",
      ),
      which: fc.nat({ max: 20 }),
    }),
  },
  { weight: 5, arbitrary: fc.constant({ do: "look" } as const) },
);
const history = fc.array(step, { maxLength: 100, size: "max" });

/** A tracker: looks at the positions, and in the next step, if there is a hole, at who is in flight. */
interface Tracker {
  readonly state: SettledState;
  look(): void;
}

function createTracker(log: LogModel): Tracker {
  let state = beginSettling(0n, log.visible().at(-1) ?? 0n);
  let scanned = false;
  return {
    get state() {
      return state;
    },
    look() {
      if (scanned && state.hole) state = observeAppenders(state, { appenders: log.appenders() });
      else state = observeScan(state, log.scan(state.position));
      scanned = !scanned;
    },
  };
}

/** A consumer that reads what is settled, as soon as it is. */
function createReader(log: LogModel) {
  const read: bigint[] = [];
  let checkpoint = 0n;
  return {
    read,
    readUpTo(settled: bigint, visible = log.visible()) {
      read.push(...visible.filter((position) => position > checkpoint && position <= settled));
      checkpoint = settled > checkpoint ? settled : checkpoint;
    },
  };
}

function happen(log: LogModel, what: Step): void {
  if (what.do === "look") return;
  if (what.do === "begin") {
    log.begin();
    return;
  }
  const { open } = log;
  const transaction = open[what.which % Math.max(1, open.length)];
  // A commit lets go of the lock only when it is visible; a rollback lets go of it at once.
  transaction?.[what.do]();
}

function endAll(log: LogModel): void {
  for (const [index, transaction] of log.open.entries()) {
    if (index % 2 === 0) transaction.becomeVisible();
    transaction.letGo();
  }
}

/** Runs a history, and fails as soon as the tracker takes something for settled that is not. */
function checkHistory(
  steps: readonly Step[],
  makeTracker: (log: LogModel) => Tracker,
  { stalePages = false }: { readonly stalePages?: boolean } = {},
): void {
  const log = createLogModel();
  const tracker = makeTracker(log);
  const reader = createReader(log);
  let visibleAtLastLook = log.visible();
  for (const each of steps) {
    happen(log, each);
    if (each.do !== "look") continue;
    const before = tracker.state.position;
    tracker.look();
    const { position } = tracker.state;
    if (position < before) throw new Error(`It went back from ${before} to ${position}.`);
    if (!log.isSettled(position))
      throw new Error(`Took ${position} for settled while something below it could still appear.`);
    reader.readUpTo(position, stalePages ? visibleAtLastLook : log.visible());
    visibleAtLastLook = log.visible();
  }

  endAll(log);
  for (let looks = 0; looks < 8; looks++) tracker.look();
  reader.readUpTo(tracker.state.position);

  expect(tracker.state).toEqual({ position: log.visible().at(-1) ?? 0n, hole: null, behind: [] });
  expect(reader.read).toEqual(log.visible());
}

describe("the settled position", () => {
  it("never passes what can still appear, and always gets to the end, in any interleaving", () => {
    fc.assert(
      fc.property(history, (steps) => checkHistory(steps, createTracker)),
      { numRuns: 3_000 },
    );
  });

  it("does so when it starts in the middle of things", () => {
    fc.assert(
      fc.property(history, history, (earlier, later) => {
        const log = createLogModel();
        for (const each of earlier) happen(log, each);
        const tracker = createTracker(log);
        for (const each of later) {
          happen(log, each);
          if (each.do === "look") tracker.look();
          expect(log.isSettled(tracker.state.position)).toBe(true);
        }
        endAll(log);
        for (let looks = 0; looks < 8; looks++) tracker.look();
        expect(tracker.state.position).toBe(log.visible().at(-1) ?? 0n);
      }),
      { numRuns: 1_000 },
    );
  });

  // The property has teeth: each of these trackers leaves out one thing that the rule asks for, and is caught.
  describe("as this test can tell", () => {
    const expectCaught = (makeTracker: (log: LogModel) => Tracker, options?: Parameters<typeof checkHistory>[2]) => {
      const outcome = fc.check(
        fc.property(history, (steps) => checkHistory(steps, makeTracker, options)),
        { numRuns: 3_000, seed: 1 },
      );
      expect(outcome.failed).toBe(true);
    };

    it("is wrong when those in flight are listed in the snapshot before the scan", () => {
      expectCaught((log) => {
        let state = beginSettling(0n, 0n);
        let appenders: readonly InFlightAppender[] = [];
        let scanned = true;
        return {
          get state() {
            return state;
          },
          look() {
            if (scanned) appenders = log.appenders();
            else state = observeAppenders(observeScan(state, log.scan(state.position)), { appenders });
            scanned = !scanned;
          },
        };
      });
    });

    it("loses events when a page is read in the snapshot of the scan", () => {
      expectCaught(createTracker, { stalePages: true });
    });

    it("is wrong when prepared transactions are not added", () => {
      expectCaught((log) => {
        const known = new Set<string>();
        const tracker = createTracker({
          ...log,
          get open() {
            return log.open;
          },
          // Only those that were in flight unprepared, under the ids they had then.
          appenders: () => {
            const all = log.appenders();
            for (const { id, prepared } of all) if (!prepared) known.add(id);
            return all.filter(({ id }) => known.has(id));
          },
        });
        return tracker;
      });
    });

    it("is wrong when a hole is taken for a rollback at once", () => {
      expectCaught((log) => {
        let state = beginSettling(0n, 0n);
        return {
          get state() {
            return state;
          },
          look() {
            const scan = log.scan(state.position);
            state = observeScan(state, { ...scan, contiguous: scan.highest, hole: false });
          },
        };
      });
    });

    it("is wrong when a lock is free before what was written is visible", () => {
      expectCaught((log) => {
        const hidden = createTracker({
          ...log,
          get open() {
            return log.open;
          },
          // As if locks were released when the commit begins.
          appenders: () => log.appenders().filter((_, index) => index > 0),
        });
        return hidden;
      });
    });
  });
});

describe("beginSettling", () => {
  it("takes the greatest checkpoint for settled, and all above it for one hole", () => {
    expect(beginSettling(5n, 9n)).toEqual({
      position: 5n,
      hole: { upTo: 9n, waitingFor: null, preparedAdded: false },
      behind: [],
    });
    expect(beginSettling(9n, 9n)).toEqual({ position: 9n, hole: null, behind: [] });
    expect(beginSettling(0n, 0n)).toEqual({ position: 0n, hole: null, behind: [] });
  });

  it("keeps a checkpoint that lies beyond the newest event: what was above was rolled back or deleted", () => {
    expect(beginSettling(9n, 5n)).toEqual({ position: 9n, hole: null, behind: [] });
  });
});

describe("observeScan", () => {
  const scan = (contiguous: bigint, hole: boolean, highest: bigint) => ({ contiguous, hole, highest });

  it("settles a run without holes at once", () => {
    expect(observeScan(beginSettling(3n, 3n), scan(7n, false, 7n))).toEqual({ position: 7n, hole: null, behind: [] });
  });

  it("settles the run before a hole, and remembers the highest position behind it", () => {
    expect(observeScan(beginSettling(3n, 3n), scan(5n, true, 9n))).toEqual({
      position: 5n,
      hole: { upTo: 9n, waitingFor: null, preparedAdded: false },
      behind: [],
    });
  });

  it("keeps waiting for the hole it waits for, and remembers what comes behind it", () => {
    const state = observeScan(beginSettling(3n, 3n), scan(3n, true, 9n));
    const waiting = observeAppenders(state, { appenders: [appender("3/1")] });

    expect(observeScan(waiting, scan(3n, true, 9n))).toEqual(waiting);
    expect(observeScan(waiting, scan(3n, true, 20n))).toEqual({
      ...waiting,
      behind: [{ upTo: 20n, waitingFor: null, preparedAdded: false }],
    });
  });

  it("forgets a hole that was filled", () => {
    const state = observeScan(beginSettling(3n, 3n), scan(3n, true, 5n));

    expect(observeScan(state, scan(8n, true, 12n)).hole).toMatchObject({ upTo: 12n, waitingFor: null });
    expect(observeScan(state, scan(8n, false, 8n))).toEqual({ position: 8n, hole: null, behind: [] });
  });

  it("never goes back", () => {
    expect(observeScan(beginSettling(9n, 9n), scan(4n, false, 4n))).toEqual({ position: 9n, hole: null, behind: [] });
  });
});

describe("observeAppenders", () => {
  const hole = observeScan(beginSettling(3n, 3n), { contiguous: 3n, hole: true, highest: 9n });
  const observe = (state: SettledState, ...appenders: InFlightAppender[]) => observeAppenders(state, { appenders });

  it("closes a hole at once when nobody is in flight", () => {
    expect(observe(hole)).toEqual({ position: 9n, hole: null, behind: [] });
  });

  it("waits for those it saw first, and for no others", () => {
    const waiting = observe(hole, appender("3/1"), appender("3/2"));
    const fewer = observe(waiting, appender("3/2"), appender("3/3"));

    expect([...(fewer.hole?.waitingFor ?? [])]).toEqual(["3/2"]);
    expect(observe(fewer, appender("3/3"), appender("3/4"))).toEqual({ position: 9n, hole: null, behind: [] });
  });

  it("adds prepared ones once, when those it waited for are gone", () => {
    const waiting = observe(hole, appender("3/1"));
    const prepared = observe(waiting, appender("-1/7", true), appender("3/2"));
    expect([...(prepared.hole?.waitingFor ?? [])]).toEqual(["-1/7"]);

    expect(observe(prepared, appender("-1/7", true), appender("-1/8", true)).hole?.waitingFor?.size).toBe(1);
    expect(observe(prepared, appender("-1/8", true))).toEqual({ position: 9n, hole: null, behind: [] });
  });

  it("lets what came behind the hole wait for those that were in flight when it was seen, and for no others", () => {
    const first = observe(hole, appender("3/1"));
    const second = observe(
      observeScan(first, { contiguous: 3n, hole: true, highest: 20n }),
      appender("3/1"),
      appender("3/2"),
    );
    expect(second).toMatchObject({ position: 3n, hole: { upTo: 9n }, behind: [{ upTo: 20n }] });

    const between = observe(second, appender("3/2"), appender("3/3"));
    expect(between).toMatchObject({ position: 9n, hole: { upTo: 20n }, behind: [] });
    expect([...(between.hole?.waitingFor ?? [])]).toEqual(["3/2"]);
    expect(observe(between, appender("3/3"))).toEqual({ position: 20n, hole: null, behind: [] });
  });

  it("remembers no more parts than there are different ones to wait for", () => {
    let state = hole;
    for (let highest = 10n; highest < 100n; highest++) {
      state = observeScan(state, { contiguous: 3n, hole: true, highest });
      state = observe(state, appender("3/1"), ...(highest < 50n ? [] : [appender("3/2")]));
    }

    expect(state).toMatchObject({ hole: { upTo: 9n }, behind: [{ upTo: 49n }, { upTo: 99n }] });
  });

  it("does nothing without a hole", () => {
    const state = beginSettling(3n, 3n);

    expect(observe(state, appender("3/1"))).toBe(state);
  });
});

function appender(id: string, prepared = false): InFlightAppender {
  return { id, prepared, pid: prepared ? null : 1, applicationName: "", ageMs: null };
}
