import { type Consumer, defineConsumer, type RecordedEvent, sleep } from "@pup/core";
import type { MemoryTransaction } from "@pup/testing";
import type { Chance } from "./chance.ts";
import type { ConsumerPlan, Scenario } from "./scenario.ts";
import type { SimulatedProcess } from "./simulated-process.ts";
import type { Trace } from "./trace.ts";
import type { Weather } from "./weather.ts";

/** What a consumer's transactions have committed. */
export interface Applied {
  /** How many events. */
  readonly events: number;
  /** Position of the last one. */
  readonly last: bigint;
  /** What was wrong with one of them; null when nothing was. */
  readonly flaw: string | null;
}

/** Name of the table in which consumers keep what they have applied: consumer name to {@link Applied}. */
export const APPLIED = "applied";

/** What a consumer is made for. */
export interface ConsumerSurroundings {
  readonly process: SimulatedProcess;
  readonly scenario: Scenario;
  readonly weather: Weather;
  readonly chance: Chance;
  readonly trace: Trace;
}

/** Creates a consumer that counts what it applies. Now and then it is slow, or fails. */
export function createCountingConsumer(plan: ConsumerPlan, given: ConsumerSurroundings): Consumer<MemoryTransaction> {
  const { process, scenario, weather, chance, trace } = given;
  const { rates, options } = scenario;
  const { name, inBulk, ...scope } = plan;

  async function apply(event: RecordedEvent, tx: MemoryTransaction, signal: AbortSignal): Promise<void> {
    if (weather.isRough && chance.happens(rates.slowEvent)) {
      // Some take longer than a batch may.
      await sleep(process.clock, chance.between(0, options.batchTimeoutMs * 1.2), signal);
      await process.pass();
    }
    if (weather.isRough && chance.happens(rates.failingEvent)) throw new Error("The handler failed.");
    const { globalPosition: position } = event;
    await tx.table<Applied>(APPLIED).update(name, (applied = { events: 0, last: 0n, flaw: null }) => ({
      events: applied.events + 1,
      last: position,
      flaw: applied.flaw ?? (position > applied.last ? null : `position ${position} came after ${applied.last}`),
    }));
  }

  async function applyAll(events: readonly RecordedEvent[], tx: MemoryTransaction, signal: AbortSignal) {
    trace.note(process.name, `handles ${events.map(({ globalPosition }) => globalPosition).join(" ")} for ${name}`);
    for (const event of events) await apply(event, tx, signal);
  }

  return inBulk
    ? defineConsumer<MemoryTransaction>({
        name,
        ...scope,
        handleBatch: (events, { tx, signal }) => applyAll(events, tx, signal),
      })
    : defineConsumer<MemoryTransaction>({
        name,
        ...scope,
        handle: (event, { tx, signal }) => applyAll([event], tx, signal),
      });
}
