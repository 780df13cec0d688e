import { type Clock, type NewEvent, type RecordedEvent, sleep } from "@pup/core";
import type { MemoryStore, OpenMemoryTransaction } from "@pup/testing";
import type { Chance } from "./chance.ts";
import type { Poison } from "./poison.ts";
import { LAST_BURST, type Scenario } from "./scenario.ts";
import type { Tally } from "./tally.ts";
import type { Trace } from "./trace.ts";

/** What appends need. */
export interface AppendsOptions {
  /** The application's own connection. */
  readonly connection: MemoryStore;
  readonly time: Clock;
  readonly scenario: Scenario;
  readonly poison: Poison;
  readonly chance: Chance;
  readonly trace: Trace;
  readonly tally: Tally;
  /** Told of events as soon as they are committed. */
  readonly onCommitted: (events: readonly RecordedEvent[]) => void;
}

/** Most transactions of the application that are open at once. */
const MOST_OPEN = 6;

/** Appends until the signal aborts, then ends every transaction that is still open, and appends a last burst. */
export async function appendAtRandom(options: AppendsOptions, signal: AbortSignal): Promise<void> {
  const { time, scenario, chance, trace, tally } = options;
  const open = new Set<Promise<void>>();
  while (!signal.aborted) {
    // In bursts: most races need two events close together.
    for (let left = chance.whole(1, 4); left > 0 && open.size < MOST_OPEN; left--) {
      const work = (chance.happens(scenario.slowAppends) ? appendSlowly(options, signal) : appendAtOnce(options))
        .catch((error: Error) => {
          trace.note("app", `appends in vain: ${error.message}`);
          tally.count("append fails");
        })
        .finally(() => open.delete(work));
      open.add(work);
      await sleep(time, chance.between(0, 30), signal);
    }
    await sleep(time, chance.between(0, scenario.appendEveryMs), signal);
  }
  await Promise.all(open);
  // The last events come close together: the wake-up for one meets the look for another, and nothing comes later to repair it.
  for (let left = LAST_BURST; left > 0; left--) {
    await appendAtOnce(options);
    await sleep(time, chance.between(0, 10));
  }
}

async function appendAtOnce(options: AppendsOptions): Promise<void> {
  const { connection, trace, onCommitted } = options;
  const { events } = await connection.append(drawEvents(options));
  onCommitted(events);
  trace.note("app", `committed ${describe(events)}`);
}

/** Draws positions now, and commits them later, or never. */
async function appendSlowly(options: AppendsOptions, signal: AbortSignal): Promise<void> {
  const { connection, chance, trace, tally, onCommitted } = options;
  const transaction = await connection.begin();
  const events: RecordedEvent[] = [];
  try {
    for (let left = chance.whole(1, 2); left > 0; left--) {
      const appended = await connection.append(drawEvents(options), { tx: transaction.tx });
      events.push(...appended.events);
      trace.note("app", `has appended ${describe(appended.events)} in an open transaction`);
      await hold(options, signal);
    }
    if (await end(options, transaction, signal)) {
      onCommitted(events);
      trace.note("app", `committed ${describe(events)}`);
      tally.count("append commits late");
    } else {
      trace.note("app", `took ${describe(events)} back`);
      tally.count("append is taken back");
    }
  } catch (error) {
    await transaction.rollback();
    throw error;
  }
}

/** @returns whether the transaction was committed */
async function end(options: AppendsOptions, transaction: OpenMemoryTransaction, signal: AbortSignal): Promise<boolean> {
  const { connection, chance, trace, tally } = options;
  if (chance.happens(0.2)) {
    await transaction.prepare();
    trace.note("app", "has prepared a transaction");
    tally.count("append is prepared");
    let restarts = 0;
    const off = connection.signals.on("server:away", () => {
      restarts += 1;
    });
    await hold(options, signal);
    off();
    if (restarts > 0) tally.count("prepared append outlives the server's restart");
  } else if (chance.happens(0.1)) {
    connection.terminate(transaction.tx);
    return false;
  }
  const commits = chance.happens(0.65);
  await (commits ? transaction.commit() : transaction.rollback());
  return commits;
}

async function hold({ time, scenario, chance }: AppendsOptions, signal: AbortSignal): Promise<void> {
  const isLong = scenario.longAppends && chance.happens(0.1);
  await sleep(time, chance.between(0, isLong ? 30_000 : chance.pick([50, 500, 3_000])), signal);
}

function drawEvents({ chance, poison }: AppendsOptions): NewEvent[] {
  const aggregate = { aggregateType: chance.pick(["Order", "Invoice"]), aggregateId: `a${chance.whole(1, 10)}` };
  return Array.from({ length: chance.whole(1, 3) }, () => ({
    ...aggregate,
    type: chance.pick(["Placed", "Paid"]),
    payload: poison.draw(chance),
  }));
}

function describe(events: readonly RecordedEvent[]): string {
  return events.map(({ globalPosition }) => globalPosition).join(" ");
}
