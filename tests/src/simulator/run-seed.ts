import { createManualClock, createMemoryStore } from "@pup/testing";
import { appendAtRandom } from "./appends.ts";
import { type Breakage, type BreakageName, breakages } from "./breakages.ts";
import { createChance } from "./chance.ts";
import { causeFaults } from "./faults.ts";
import { checkNothingLeft, findUnrest, membersInTouch, mostAhead } from "./final-state.ts";
import { createFleet, printable } from "./fleet.ts";
import { createLedger } from "./ledger.ts";
import { createOperator } from "./operator.ts";
import { createPoison } from "./poison.ts";
import { drawScenario, type Scenario } from "./scenario.ts";
import { createTally } from "./tally.ts";
import { createTrace, noTrace } from "./trace.ts";
import type { Violation } from "./violation.ts";
import type { Weather } from "./weather.ts";
import { createWitness } from "./witness.ts";

/** Settings of one run. */
export interface RunOptions {
  /** A protection to take out. */
  readonly breakage?: BreakageName | undefined;
  /** Whether to keep a trace. @defaultValue `false` */
  readonly trace?: boolean | undefined;
  /** Whether to count what workers say, beside what goes wrong. @defaultValue `false` */
  readonly stats?: boolean | undefined;
  /** How long things go wrong, in milliseconds of virtual time. @defaultValue what the seed says: 2 to 10 minutes */
  readonly roughMs?: number | undefined;
}

/** What came of one run. */
export interface SeedOutcome {
  readonly seed: number;
  /** The first invariant that broke; null when all held. */
  readonly violation: Violation | null;
  /** How much virtual time has passed, in milliseconds. */
  readonly virtualMs: number;
  /** Callbacks that were called, with everything looked at after each. */
  readonly steps: number;
  readonly trace: readonly string[];
  /** How often each kind of thing came up. */
  readonly tally: ReadonlyMap<string, number>;
}

/**
 * How long a question may go on that a worker asked before it stopped, in milliseconds: stopping is bounded, and does not wait for
 * a database that does not answer.
 */
const LAST_ANSWERS_MS = 6_000;

/** What handling one event by itself may take in calm weather, in milliseconds: its batch, and the page before it. */
const EVENT_MS = 150;

/** What giving up on one event may take in calm weather, in milliseconds: its failures, and the waits between them. */
const POISON_MS = 2_000;

/** How often workers of which consumers have stopped are replaced once the faults are over: what fails then, fails for good. */
const MOST_REPLACEMENTS = 3;

/** How often it is looked whether everybody has come to rest, in milliseconds. */
const LOOK_EVERY_MS = 1_000;

/** How long events still come once the faults are over, in milliseconds. */
const LAST_APPENDS_MS = 3_000;

/** Runs the whole life of a fleet, as the seed and nothing else decides it, up to the first invariant that breaks. */
export async function runSeed(seed: number, options: RunOptions = {}): Promise<SeedOutcome> {
  const chance = createChance(seed);
  const time = createManualClock();
  const trace = options.trace ? createTrace(time.now) : noTrace;
  const breakage: Breakage = options.breakage ? breakages[options.breakage]() : {};
  const drawn = drawScenario(chance);
  const scenario: Scenario = { ...drawn, rates: { ...drawn.rates, ...breakage.rates } };

  let violation: Violation | null = null;
  const report = (invariant: Violation["invariant"], what: string) => {
    if (violation) return;
    violation = { invariant, what };
    trace.note("BROKEN", `${invariant}: ${what}`);
  };
  let steps = 0;

  const weather: Weather = { time, isRough: true };
  const { sessionLocks, leaseDurationMs } = scenario;
  const store = createMemoryStore({
    clock: time,
    random: chance.fork().random,
    startTime: new Date(0),
    sessionLocks,
    leaseDurationMs,
  });
  let isReachable = true;
  store.signals.on("server:away", () => {
    isReachable = false;
  });
  store.signals.on("server:back", () => {
    isReachable = true;
  });
  const observer = store.connect({ applicationName: "observer" });
  const ledger = createLedger(observer, time, scenario.consumers, report);
  const witness = createWitness(observer, ledger, report);
  const poison = createPoison(scenario);
  const tally = createTally();
  const surroundings = { store, time, scenario, weather, poison, ledger, trace, tally, report };
  const fleet = createFleet({
    ...surroundings,
    witness,
    breakage,
    chance: chance.fork(),
    listens: trace.isKept || options.stats === true,
  });
  const connection = store.connect({ applicationName: "operator" });
  const operator = createOperator({ ...surroundings, connection, fleet, chance: chance.fork() });
  const final = { fleet, scenario, ledger, poison, observer, report };

  /** Goes on until the promise settles, or the time is over, or an invariant breaks. */
  async function live(untilMs: number, promise?: Promise<unknown>): Promise<void> {
    let settled = false;
    void promise?.then(() => {
      settled = true;
    });
    await time.settle();
    while (!violation && !settled && (await time.step(untilMs, { settled: true }))) {
      steps += 1;
      if (isReachable && witness.takeNews()) await ledger.check();
    }
    if (!violation && !settled) await time.advance(untilMs - time.now());
  }

  trace.note("seed", `${seed}: ${describe(scenario)}`);
  for (let left = scenario.workers; left > 0; left--) fleet.start(chance.pick(scenario.releases));

  const calm = new AbortController();
  const quiet = new AbortController();
  const faults = causeFaults({ ...surroundings, fleet, chance: chance.fork() }, calm.signal);
  const looking = operator.workUntil(calm.signal);
  const appends = appendAtRandom(
    {
      ...surroundings,
      connection: store.connect({ applicationName: "app" }),
      chance: chance.fork(),
      onCommitted: (events) => ledger.noteCommitted(events),
    },
    quiet.signal,
  );
  await live(options.roughMs ?? scenario.roughMs);

  trace.note("seed", "faults are over");
  weather.isRough = false;
  poison.mendAll();
  calm.abort();
  await live(time.now() + 60_000, Promise.all([faults, looking]));
  if (fleet.members.some(({ isSingleRun }) => isSingleRun)) report("I5", "a single run does not end");
  // Events go on a little: nothing may depend on what the end of the faults has woken.
  await live(time.now() + LAST_APPENDS_MS);
  quiet.abort();
  await live(time.now() + 60_000, appends);
  // Whatever release is out there, somebody has everything.
  const newest = scenario.releases.at(-1) as readonly string[];
  fleet.start(newest);
  const eventMs = EVENT_MS + POISON_MS * scenario.rates.poison;
  const deadline = async () => time.now() + recoveryMs(scenario) + (await mostAhead(final)) * eventMs;
  let deadlineMs = await deadline();
  let replacements = 0;
  let unrest: Violation | null = null;
  do {
    await live(time.now() + LOOK_EVERY_MS);
    if (violation) break;
    unrest = await findUnrest(final);
    if (operator.retryCurable()) unrest ??= { invariant: "I5", what: "dead letters that could be handled are left" };
    if (replacements < MOST_REPLACEMENTS && operator.replaceStopped(newest)) {
      replacements += 1;
      deadlineMs = await deadline();
    }
  } while (unrest && time.now() < deadlineMs);
  if (unrest) report(unrest.invariant, unrest.what);

  if (!violation) {
    const inTouch = membersInTouch(final, time.now());
    const stopped = Promise.all(fleet.members.map((member) => fleet.stop(member)));
    await live(time.now() + 2 * scenario.options.shutdownTimeoutMs, stopped);
    await live(time.now() + LAST_ANSWERS_MS + 4 * scenario.slowMs);
    if (!violation && fleet.members.length > 0) report("I7", `${fleet.members[0]?.name} does not stop`);
    if (!violation) await checkNothingLeft(final, inTouch);
  }
  return { seed, violation, virtualMs: time.now(), steps, trace: trace.lines, tally: tally.counts };
}

/** How long it may take until everybody has come to rest, in milliseconds, beside the events that wait. */
function recoveryMs({ options, slowMs }: Scenario): number {
  const { heartbeatTimeoutMs, rebalanceIntervalMs, batchTimeoutMs, shutdownTimeoutMs } = options;
  // A live owner's batch has its whole time, and five seconds, before it is ended for the next owner.
  const workMs = Math.max(batchTimeoutMs, shutdownTimeoutMs) + 5_000 + slowMs;
  return heartbeatTimeoutMs + rebalanceIntervalMs + 5_000 + workMs;
}

function describe(scenario: Scenario): string {
  return JSON.stringify({ ...scenario, roughMs: Math.round(scenario.roughMs) }, printable);
}
