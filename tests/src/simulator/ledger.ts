import type { Checkpoint, EventScope, RecordedEvent } from "@pup/core";
import type { MemoryStore } from "@pup/testing";
import { APPLIED, type Applied } from "./consumers.ts";
import type { ConsumerPlan } from "./scenario.ts";
import type { Report } from "./violation.ts";

/** Compares what consumers have committed with what the application has. */
export interface Ledger {
  /** The application has committed these. */
  noteCommitted(events: readonly RecordedEvent[]): void;
  /** A consumer has got its checkpoint, unless it had one already. */
  noteCreated(consumer: string, position: bigint): void;
  /** Looks at every consumer as it stands between two steps: I1, I2 and I3. */
  check(): Promise<void>;
  /** Checkpoints as the last check found them, by consumer name. */
  readonly checkpoints: ReadonlyMap<string, Checkpoint>;
}

/** Creates the ledger. `observer` is a connection of its own. */
export function createLedger(observer: MemoryStore, consumers: readonly ConsumerPlan[], report: Report): Ledger {
  const committed: RecordedEvent[] = [];
  const checkpoints = new Map<string, Checkpoint>();
  /** What the last look at each consumer was made from: nothing can be found that the same facts did not show. */
  const looked = new Map<string, string>();
  /** Where consumers began. */
  const starts = new Map<string, bigint>();
  const names = consumers.map(({ name }) => name);

  function checkOne(plan: ConsumerPlan, checkpoint: Checkpoint, applied: Applied): void {
    const { name } = plan;
    const { position, epoch } = checkpoint;
    const before = checkpoints.get(name);
    checkpoints.set(name, checkpoint);
    const facts = [position, epoch, applied.events, committed.length].join();
    if (looked.get(name) === facts) return;
    looked.set(name, facts);
    if (before && (position < before.position || epoch < before.epoch)) {
      report("I3", `${name} went back from ${describe(before)} to ${describe(checkpoint)}`);
    }
    if (applied.flaw !== null) report("I2", `${name}: ${applied.flaw}`);

    const start = starts.get(name) ?? 0n;
    let due = 0;
    for (const event of committed) {
      if (event.globalPosition > start && event.globalPosition <= position && isInScope(event, plan)) due += 1;
    }
    if (applied.events !== due || applied.last > position) {
      report(
        "I1",
        `${name} stands at ${position}, having begun at ${start}: ${due} events lie in between, ` +
          `and ${applied.events} up to ${applied.last} have been applied`,
      );
    }
  }

  /** A consumer that begins at the head begins at a settled position. */
  function checkStarts(event: RecordedEvent): void {
    for (const [name, start] of starts) {
      if (event.globalPosition <= start) {
        report("I1", `${name} has begun at ${start}, and only now ${event.globalPosition} was committed`);
      }
    }
  }

  function isInScope({ aggregateType, type }: RecordedEvent, { aggregateTypes, eventTypes }: EventScope): boolean {
    return (aggregateTypes?.includes(aggregateType) ?? true) && (eventTypes?.includes(type) ?? true);
  }

  return {
    noteCommitted(events) {
      committed.push(...events);
      events.forEach(checkStarts);
    },
    noteCreated(consumer, position) {
      if (!starts.has(consumer)) starts.set(consumer, position);
    },
    async check() {
      const applied = observer.table<Applied>(APPLIED);
      for (const checkpoint of await observer.readCheckpoints(names)) {
        const plan = consumers.find(({ name }) => name === checkpoint.consumer) as ConsumerPlan;
        checkOne(plan, checkpoint, applied.get(plan.name) ?? { events: 0, last: 0n, flaw: null });
      }
    },
    checkpoints,
  };
}

function describe({ position, epoch }: Checkpoint): string {
  return `position ${position}, epoch ${epoch}`;
}
