import type { AppendResult, NewEvent } from "@pup/core";
import { createSpans, type TransactionSpans } from "./transaction-spans.ts";

/** An event of the rig: its id is known before it is appended. */
export type RigEvent = NewEvent & { readonly id: string };

/** What the writers know of their appends, kept to be held against the log. */
export interface Account {
  /** Acknowledged: event id to its place, `position/version`. */
  readonly acknowledged: ReadonlyMap<string, string>;
  /** Ids of events that were rolled back for certain. */
  readonly rolledBack: ReadonlySet<string>;
  /** Ids of events of whose append the answer was lost. */
  readonly unknown: ReadonlySet<string>;
  /** Things counted, by what they are. */
  readonly counts: ReadonlyMap<string, number>;
  /** What must not happen: wrong answers, errors that nobody expects. */
  readonly complaints: readonly string[];
}

/** The account, in the hands of the writers. */
export interface OpenAccount extends Account {
  acknowledge(results: readonly AppendResult[]): void;
  rollBack(events: readonly RigEvent[]): void;
  loseSight(events: readonly RigEvent[]): void;
  count(what: string): void;
  complain(what: string): void;
  /** An append from a while ago, to be repeated; undefined in the beginning. */
  recall(index: number): readonly RigEvent[] | undefined;
  /** When transactions that appended began to, and ended. */
  readonly spans: TransactionSpans;
}

/** How many appends are remembered for being repeated. */
const REMEMBERED = 300;

/** What a run is to have seen at least once. */
const KINDS = ["appends", "prepared", "conflicts", "repetitions", "savepoints undone"];

/** True when each kind of append has been tried. */
export function hasTriedAll({ counts }: Account): boolean {
  return KINDS.every((kind) => counts.has(kind));
}

/** Opens an empty account. */
export function openAccount(): OpenAccount {
  const acknowledged = new Map<string, string>();
  const rolledBack = new Set<string>();
  const unknown = new Set<string>();
  const counts = new Map<string, number>();
  const complaints: string[] = [];
  const appends: (readonly RigEvent[])[] = [];

  return {
    acknowledged,
    rolledBack,
    unknown,
    counts,
    complaints,
    acknowledge(results) {
      for (const { events } of results) {
        for (const event of events) {
          acknowledged.set(event.id, `${event.globalPosition}/${event.aggregateVersion}`);
          unknown.delete(event.id);
        }
        appends.push(events.map(toRigEvent));
        if (appends.length > REMEMBERED) appends.shift();
      }
    },
    rollBack(events) {
      for (const { id } of events) rolledBack.add(id);
    },
    loseSight(events) {
      for (const { id } of events) unknown.add(id);
    },
    count(what) {
      counts.set(what, (counts.get(what) ?? 0) + 1);
    },
    complain: (what) => complaints.push(what),
    recall: (index) => appends[index % Math.max(1, appends.length)],
    spans: createSpans(),
  };
}

function toRigEvent({ id, aggregateType, aggregateId, type, payload }: RigEvent): RigEvent {
  return { id, aggregateType, aggregateId, type, payload };
}
