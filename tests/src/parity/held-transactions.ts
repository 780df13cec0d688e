import type { BatchDeadLetters } from "@pup/core";
import fc from "fast-check";
import { RollBack } from "./answers.ts";
import { type Operation, operation, show } from "./operation.ts";
import { consumers, type Outcome, SLOTS, track, type World } from "./world.ts";

export const anySlot = fc.nat(SLOTS - 1);

/** Transactions that stay open while other things happen. */
export const heldTransactions: fc.Arbitrary<Operation> = fc.oneof(
  anySlot.map((slot) => open(slot, null)),
  fc
    .record({
      slot: anySlot,
      consumer: fc.constantFrom(...consumers),
      epoch: fc.constantFrom(1, 1, 2, 0),
      from: fc.constantFrom(0n, 2n),
      to: fc.constantFrom(2n, 4n),
    })
    .map(({ slot, ...batch }) => open(slot, batch)),
  fc
    .tuple(anySlot, fc.constantFrom<Outcome>("commit", "commit", "roll back"))
    .map(([slot, outcome]) => end(slot, outcome)),
);

interface HeldBatch {
  readonly consumer: string;
  readonly epoch: number;
  readonly from: bigint;
  readonly to: bigint;
}

export function open(slot: number, batch: HeldBatch | null): Operation {
  const name = batch ? `batch ${slot} ${show(batch)}` : `transaction ${slot}`;
  return operation(`begin ${name}`, async (world) => await hold(world, slot, batch));
}

/** Resolves when the work has begun, rejects when it never will. */
function hold<Tx>(world: World<Tx>, number: number, batch: HeldBatch | null): Promise<unknown> {
  const { store, slots } = world;
  const slot = slots[number] as World<Tx>["slots"][number];
  if (slot.end) return Promise.resolve("open already");
  const begun = Promise.withResolvers<string>();
  const ending = Promise.withResolvers<void>();
  const work = (tx: Tx, letters: BatchDeadLetters | null) => {
    Object.assign(slot, { tx, letters });
    begun.resolve("begun");
    return ending.promise;
  };
  const settings = { timeoutMs: 60_000, signal: new AbortController().signal };
  slot.end = (outcome) => {
    call.active = true;
    if (outcome === "commit") ending.resolve();
    else ending.reject(new RollBack());
  };
  const running = batch ? store.runBatch({ ...batch, ...settings }, work) : store.transaction((tx) => work(tx, null));
  ending.promise.catch(() => undefined);
  running.catch(begun.reject);
  // Also when it was ended from outside.
  const over = running.finally(() => Object.assign(slot, { tx: null, letters: null, end: null }));
  const call = track(world, { what: `what becomes of ${number}`, slot: null }, over);
  call.active = false;
  return begun.promise;
}

export function end(slot: number, outcome: Outcome): Operation {
  return operation(
    `${outcome} ${slot}`,
    async ({ slots }) => {
      slots[slot]?.end?.(outcome);
    },
    { slot, besideWaiting: true },
  );
}
