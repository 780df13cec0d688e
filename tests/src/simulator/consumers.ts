import {
  type Consumer,
  type ConsumerSettings,
  defineConsumer,
  type HandlerContext,
  type RecordedEvent,
  sleep,
  type TransactionalContext,
} from "@pup/core";
import type { MemoryTransaction } from "@pup/testing";
import type { Chance } from "./chance.ts";
import { applyEvent } from "./effects.ts";
import type { Ledger } from "./ledger.ts";
import type { Poison } from "./poison.ts";
import type { ConsumerPlan, Scenario } from "./scenario.ts";
import type { SimulatedProcess } from "./simulated-process.ts";
import type { Tally } from "./tally.ts";
import type { Trace } from "./trace.ts";
import type { Weather } from "./weather.ts";

/** What a consumer is made for. */
export interface ConsumerSurroundings {
  readonly process: SimulatedProcess;
  readonly scenario: Scenario;
  readonly weather: Weather;
  readonly poison: Poison;
  /** Where effects outside of transactions are noted. */
  readonly ledger: Pick<Ledger, "noteOutside">;
  readonly chance: Chance;
  readonly trace: Trace;
  readonly tally: Tally;
}

/** Creates a consumer that counts what it applies. Now and then it is slow, or fails. */
export function createCountingConsumer(plan: ConsumerPlan, given: ConsumerSurroundings): Consumer<MemoryTransaction> {
  const { process, scenario, weather, poison, ledger, chance, trace, tally } = given;
  const { rates, options } = scenario;
  const { name, inBulk, isDetached, maxConsecutiveFailures, onFailure, startFrom, aggregateTypes, eventTypes } = plan;

  async function apply(event: RecordedEvent, tx: MemoryTransaction | null, signal: AbortSignal): Promise<void> {
    if (weather.isRough && chance.happens(rates.slowEvent)) {
      // Some take longer than a batch may.
      const forMs = chance.between(0, options.batchTimeoutMs * 1.2);
      tally.count(forMs > options.batchTimeoutMs ? "handler takes longer than a batch may" : "handler is slow");
      await sleep(process.clock, forMs, signal);
      await process.pass();
      // Without a transaction, only the handler itself can see to it that it does not go on beside the next try.
      if (!tx) signal.throwIfAborted();
    }
    const failing = weather.isRough && chance.happens(rates.failingEvent);
    if (failing && chance.happens(0.5)) throw failed("handler fails before its effects");
    if (poison.fails(plan, event)) throw failed("handler fails on poison");
    if (tx) await applyEvent(tx, name, event.globalPosition);
    // What reaches the world outside stays there.
    else if (!process.isDead) ledger.noteOutside(name, event.globalPosition);
    if (failing) throw failed("handler fails after its effects");
  }

  function failed(how: string): Error {
    tally.count(how);
    return new Error(`The ${how}.`);
  }

  async function applyAll(
    events: readonly RecordedEvent[],
    context: HandlerContext | TransactionalContext<MemoryTransaction>,
  ): Promise<void> {
    trace.note(process.name, `handles ${events.map(({ globalPosition }) => globalPosition).join(" ")} for ${name}`);
    const tx = "tx" in context ? context.tx : null;
    for (const event of events) await apply(event, tx, context.signal);
  }

  const settings: ConsumerSettings = { onFailure, maxConsecutiveFailures };
  const declared = {
    name,
    startFrom,
    ...settings,
    ...(aggregateTypes && { aggregateTypes }),
    ...(eventTypes && { eventTypes }),
    ...(inBulk
      ? { handleBatch: applyAll }
      : { handle: (event: RecordedEvent, context: HandlerContext) => applyAll([event], context) }),
  };
  return isDetached
    ? defineConsumer({ ...declared, transaction: "none" })
    : defineConsumer<MemoryTransaction>(declared);
}
