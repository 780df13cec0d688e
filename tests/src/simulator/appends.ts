import { type Clock, type NewEvent, type RecordedEvent, sleep } from "@pup/core";
import type { MemoryStore, OpenMemoryTransaction } from "@pup/testing";
import type { Chance } from "./chance.ts";
import type { Trace } from "./trace.ts";

/** What appends need. */
export interface AppendsOptions {
  /** The application's own connection. */
  readonly connection: MemoryStore;
  readonly time: Clock;
  /** Longest time between two appends, in milliseconds. */
  readonly everyMs: number;
  readonly chance: Chance;
  readonly trace: Trace;
  /** Told of events as soon as they are committed. */
  readonly onCommitted: (events: readonly RecordedEvent[]) => void;
}

/** Most transactions of the application that are open at once. */
const MOST_OPEN = 6;

/** The last events come close together: the wake-up for one meets the look for another, and nothing comes later to repair it. */
const LAST_BURST = 5;

/** Appends until the signal aborts, then ends every transaction that is still open, and appends a last burst. */
export async function appendAtRandom(options: AppendsOptions, signal: AbortSignal): Promise<void> {
  const { time, everyMs, chance, trace } = options;
  const open = new Set<Promise<void>>();
  while (!signal.aborted) {
    // In bursts: most races need two events close together.
    for (let left = chance.whole(1, 4); left > 0 && open.size < MOST_OPEN; left--) {
      const work = (chance.happens(0.6) ? appendAtOnce(options) : appendSlowly(options, signal))
        .catch((error: Error) => trace.note("app", `appends in vain: ${error.message}`))
        .finally(() => open.delete(work));
      open.add(work);
      await sleep(time, chance.between(0, 30), signal);
    }
    await sleep(time, chance.between(0, everyMs), signal);
  }
  await Promise.all(open);
  for (let left = LAST_BURST; left > 0; left--) {
    await appendAtOnce(options);
    await sleep(time, chance.between(0, 10));
  }
}

async function appendAtOnce({ connection, chance, trace, onCommitted }: AppendsOptions): Promise<void> {
  const { events } = await connection.append(drawEvents(chance));
  onCommitted(events);
  trace.note("app", `committed ${describe(events)}`);
}

/** Draws positions now, and commits them later, or never. */
async function appendSlowly(options: AppendsOptions, signal: AbortSignal): Promise<void> {
  const { connection, chance, trace, onCommitted } = options;
  const transaction = await connection.begin();
  const events: RecordedEvent[] = [];
  try {
    for (let left = chance.whole(1, 2); left > 0; left--) {
      const appended = await connection.append(drawEvents(chance), { tx: transaction.tx });
      events.push(...appended.events);
      trace.note("app", `has appended ${describe(appended.events)} in an open transaction`);
      await hold(options, signal);
    }
    if (await end(options, transaction, signal)) {
      onCommitted(events);
      trace.note("app", `committed ${describe(events)}`);
    } else trace.note("app", `took ${describe(events)} back`);
  } catch (error) {
    await transaction.rollback();
    throw error;
  }
}

/** @returns whether the transaction was committed */
async function end(options: AppendsOptions, transaction: OpenMemoryTransaction, signal: AbortSignal): Promise<boolean> {
  const { connection, chance, trace } = options;
  if (chance.happens(0.2)) {
    await transaction.prepare();
    trace.note("app", "has prepared a transaction");
    await hold(options, signal);
  } else if (chance.happens(0.1)) {
    connection.terminate(transaction.tx);
    return false;
  }
  const commits = chance.happens(0.65);
  await (commits ? transaction.commit() : transaction.rollback());
  return commits;
}

async function hold({ time, chance }: AppendsOptions, signal: AbortSignal): Promise<void> {
  await sleep(time, chance.between(0, chance.happens(0.05) ? 30_000 : chance.pick([50, 500, 3_000])), signal);
}

function drawEvents(chance: Chance): NewEvent[] {
  const aggregate = { aggregateType: chance.pick(["Order", "Invoice"]), aggregateId: `a${chance.whole(1, 6)}` };
  return Array.from({ length: chance.whole(1, 3) }, () => ({
    ...aggregate,
    type: chance.pick(["Placed", "Paid"]),
    payload: {},
  }));
}

function describe(events: readonly RecordedEvent[]): string {
  return events.map(({ globalPosition }) => globalPosition).join(" ");
}
