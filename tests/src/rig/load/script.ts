import type { Chance } from "../chance.ts";
import type { RigEvent } from "./account.ts";

/** A part of a transaction. */
export type Step =
  /** Appends. */
  | { readonly kind: "append"; readonly events: readonly RigEvent[] }
  /** Appends in a savepoint, and rolls back to it or not. */
  | { readonly kind: "savepoint"; readonly events: readonly RigEvent[]; readonly undone: boolean }
  /** Repeats an append that was acknowledged before. */
  | { readonly kind: "repeat"; readonly choice: number }
  /** Appends what must be refused, because the aggregate exists already. */
  | { readonly kind: "conflict"; readonly choice: number; readonly id: string };

/** What a transaction does, decided before it begins. */
export interface Script {
  readonly steps: readonly Step[];
  /** Time that the transaction stays open after its last step, in milliseconds. */
  readonly holdMs: number;
  readonly commits: boolean;
}

const aggregatesOfType = { Order: 200, Invoice: 100, Parcel: 50 };
const typeWeights = { Order: 5, Invoice: 3, Parcel: 2 };
const eventWeights = { Changed: 14, Paid: 5, Rare: 0.1 };
/** Share of the transactions that are rolled back. */
const rollbackRate = 0.15;
/** Share of the transactions that take their aggregates in any order, so that two of them can wait for each other. */
const carelessRate = 0.03;

/** Draws events of one aggregate, that everybody writes to, or that belongs to one writer alone. */
export function drawEvents(chance: Chance, owner?: string): RigEvent[] {
  const aggregateType = chance.weighted(typeWeights);
  const aggregateId = owner ?? String(chance.whole(1, aggregatesOfType[aggregateType]));
  return Array.from({ length: chance.whole(1, 3) }, () => ({
    id: chance.uuid(),
    aggregateType,
    aggregateId,
    type: chance.weighted(eventWeights),
    payload: { text: "x".repeat(chance.whole(10, 200)) },
  }));
}

/** Draws a transaction over several aggregates. */
export function drawScript(chance: Chance): Script {
  const parts = Array.from({ length: chance.whole(1, 4) }, () => drawEvents(chance));
  if (!chance.happens(carelessRate)) parts.sort(([a], [b]) => (aggregateKey(a) < aggregateKey(b) ? -1 : 1));
  const steps = parts.map((events): Step => {
    if (chance.happens(0.3)) return { kind: "savepoint", events, undone: chance.happens(0.4) };
    return { kind: "append", events };
  });
  if (chance.happens(0.1)) steps.push({ kind: "repeat", choice: chance.whole(0, 10_000) });
  if (chance.happens(0.1)) steps.push({ kind: "conflict", choice: chance.whole(0, 10_000), id: chance.uuid() });
  return { steps, holdMs: chance.happens(0.2) ? chance.whole(1, 60) : 0, commits: !chance.happens(rollbackRate) };
}

/** Draws a transaction that stays open for long, on aggregates that nobody else has to wait for. */
export function drawSlowScript(chance: Chance, owner: string): Script {
  return {
    steps: [{ kind: "append", events: drawEvents(chance, owner) }],
    holdMs: chance.whole(300, 2_000),
    commits: !chance.happens(0.3),
  };
}

function aggregateKey(event: RigEvent | undefined): string {
  return `${event?.aggregateType}/${event?.aggregateId}`;
}
