import type { RecordedEvent } from "@pup/core";
import type { Chance } from "./chance.ts";
import { type ConsumerPlan, isPatient, type Scenario } from "./scenario.ts";

/** What events of a simulated application carry. */
export interface Payload {
  /** Names of the consumers that cannot handle it. */
  readonly poisons: readonly string[];
  /** No mending of code helps. */
  readonly incurable: boolean;
}

/** Events that consumers fail on each time, until somebody mends their code; some for good. */
export interface Poison {
  /** Draws what the next event carries. */
  draw(chance: Chance): Payload;
  /** Whether the consumer's code fails on the event today. */
  fails(consumer: ConsumerPlan, event: RecordedEvent): boolean;
  /** Whether it always will. */
  failsForGood(consumer: ConsumerPlan, event: RecordedEvent): boolean;
  /** Rolls out code of a consumer that handles everything that is there now and can be handled at all. */
  mend(consumer: string, head: bigint): void;
  /** The same for all consumers, and all that comes. */
  mendAll(): void;
}

/** Creates the poison of one run. */
export function createPoison({ consumers, rates }: Scenario): Poison {
  const mendedUpTo = new Map<string, bigint>();
  let allMended = false;

  const isPoison = ({ name }: ConsumerPlan, { payload }: RecordedEvent) => (payload as Payload).poisons.includes(name);
  // Who never gives up would stand there for ever.
  const failsForGood = (consumer: ConsumerPlan, event: RecordedEvent) =>
    !isPatient(consumer) && isPoison(consumer, event) && (event.payload as Payload).incurable;

  return {
    draw(chance) {
      const poisons = chance.happens(rates.poison) ? consumers.filter(() => chance.happens(0.3)) : [];
      return { poisons: poisons.map(({ name }) => name), incurable: chance.happens(0.1) };
    },
    failsForGood,
    fails(consumer, event) {
      if (failsForGood(consumer, event)) return true;
      const isMended = allMended || event.globalPosition <= (mendedUpTo.get(consumer.name) ?? 0n);
      return !isMended && isPoison(consumer, event);
    },
    mend(consumer, head) {
      mendedUpTo.set(consumer, head);
    },
    mendAll() {
      allMended = true;
    },
  };
}
