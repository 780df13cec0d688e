import type { BatchDeadLetters, ControlSession, DeadLetters, EventStore, Leadership, WorkerStore } from "@pup/core";
import { comparable, comparableError } from "./answers.ts";

/** What both stores are to the operations. */
export interface ParityStore<Tx> extends EventStore<Tx>, WorkerStore<Tx>, DeadLetters {
  transaction<Result>(work: (tx: Tx) => Promise<Result>): Promise<Result>;
}

/** A store, with everything that operations have open in it. */
export interface World<Tx> {
  readonly store: ParityStore<Tx>;
  readonly session: ControlSession;
  readonly leadership: Leadership;
  readonly slots: readonly Slot<Tx>[];
  /** What was called and has not been compared yet, in the order of the calls. */
  readonly calls: Call[];
}

/** A place for a transaction that is held open: a caller's, or a batch's. */
export interface Slot<Tx> {
  tx: Tx | null;
  /** Null outside of a batch. */
  letters: BatchDeadLetters | null;
  /** Lets the work come to its end; null when nothing is open, or it is ending already. */
  end: ((outcome: Outcome) => void) | null;
}

export type Outcome = "commit" | "roll back";

/** A call, and what came of it. */
export interface Call {
  readonly what: string;
  /** The slot whose transaction it uses; null for a call of its own. */
  readonly slot: number | null;
  /** Undefined as long as it waits. */
  answer: unknown;
  /** False for a transaction that is held open: it waits for nothing but its end. */
  active: boolean;
  /** Resolves with the answer, also when that is an error. */
  readonly answered: Promise<void>;
}

export const workers = [
  "00000000-0000-4000-8000-00000000000a",
  "00000000-0000-4000-8000-00000000000b",
  // Never registered: dead to all others.
  "00000000-0000-4000-8000-00000000000c",
];
export const consumers = ["c1", "c2"];
export const SLOTS = 2;

/** Opens a world in which the first two workers are registered. The session leads. */
export async function openWorld<Tx>(
  store: ParityStore<Tx>,
  session: ControlSession,
  leadership: Leadership,
): Promise<World<Tx>> {
  for (const workerId of workers.slice(0, 2)) await session.register({ workerId, consumers });
  const slots = Array.from({ length: SLOTS }, (): Slot<Tx> => ({ tx: null, letters: null, end: null }));
  return { store, session, leadership, slots, calls: [] };
}

/** Notes what comes of a call. */
export function track<Tx>(
  { store, calls }: World<Tx>,
  { what, slot }: Pick<Call, "what" | "slot">,
  running: Promise<unknown>,
): Call {
  const answered = running.then(
    (value) => {
      call.answer = { value: comparable(value) };
    },
    (error: unknown) => {
      call.answer = comparableError(error, store.isTransient);
    },
  );
  const call: Call = { what, slot, answer: undefined, active: true, answered };
  calls.push(call);
  return call;
}
