import { isDeepStrictEqual } from "node:util";
import { end } from "./held-transactions.ts";
import { type Operation, show } from "./operation.ts";
import { type Call, SLOTS, track, type World } from "./world.ts";

/** Both stores, and means to see that what has not answered waits. */
export interface Pair<MemoryTx, PgTx> {
  readonly memory: World<MemoryTx>;
  readonly postgres: World<PgTx>;
  /** How many of PostgreSQL's sessions wait for a lock at this moment. */
  countWaiting(): Promise<number>;
}

/** How long PostgreSQL may take for what has an answer in memory, in milliseconds: its errors can come late, by another line. */
const PATIENCE_MS = 10_000;

/**
 * Does the same in both stores, one operation after the other, and compares what comes of it: answers, errors, and who waits. An
 * operation that waits stays; until it has its answer come only reads, and ends of transactions.
 *
 * @param look - what is read after each of them
 * @throws with the whole story when they differ
 */
export async function play<MemoryTx, PgTx>(
  pair: Pair<MemoryTx, PgTx>,
  operations: readonly Operation[],
  look: Operation,
): Promise<void> {
  const { memory, postgres } = pair;
  const story: string[] = [];
  /** Something has happened since the last look. */
  let isNew = true;
  const ends = Array.from({ length: SLOTS }, (_, slot) => end(slot, "roll back"));
  try {
    for (const operation of [...operations, ...ends].flatMap((each) => [each, look])) {
      if (!isPossible(memory, operation) || (operation === look && !isNew)) continue;
      isNew = operation !== look;
      story.push(operation.what);
      const calls = [call(memory, operation), call(postgres, operation)];
      if (operation.limited) await Promise.all(calls.map(({ answered }) => answered));
      await settleMemory();
      await settlePostgres(pair);
      compare(pair, story);
    }
  } finally {
    await Promise.all([leave(memory), leave(postgres)]);
  }
}

/** Ends what is open, for the next sequence. */
async function leave<Tx>({ slots, calls }: World<Tx>): Promise<void> {
  for (const { end } of slots) end?.("roll back");
  await Promise.all(calls.map(({ answered }) => answered));
}

function isPossible<Tx>({ slots, calls }: World<Tx>, { slot, besideWaiting }: Operation): boolean {
  const waiting = calls.filter(({ active }) => active);
  if (waiting.length > 0 && !besideWaiting) return false;
  return slot === null || (slots[slot]?.tx != null && waiting.every((each) => each.slot !== slot));
}

function call<Tx>(world: World<Tx>, { what, slot, run }: Operation): Call {
  return track(world, { what, slot }, run(world));
}

/** In memory nothing takes time but what waits. */
async function settleMemory(): Promise<void> {
  for (let turn = 0; turn < 5; turn++) await new Promise(setImmediate);
}

/**
 * What has not answered either waits for a lock, or is on its way. As many as have not answered wait, before and after somebody
 * looked: then nobody is on the way who could let go of a lock.
 */
async function settlePostgres<MemoryTx, PgTx>({ memory, postgres, countWaiting }: Pair<MemoryTx, PgTx>): Promise<void> {
  const deadline = Date.now() + PATIENCE_MS;
  const active = () => postgres.calls.filter((each) => each.active && each.answer === undefined).length;
  const isLate = () => memory.calls.some(({ answer }, index) => answer !== undefined && !postgres.calls[index]?.answer);
  while (Date.now() < deadline) {
    const before = active();
    if (before === 0 && !isLate()) return;
    const waiting = await countWaiting();
    if (before > 0 && waiting === before && active() === before) return;
  }
}

function compare<MemoryTx, PgTx>({ memory, postgres }: Pair<MemoryTx, PgTx>, story: string[]): void {
  for (const [index, { what, answer }] of [...memory.calls.entries()]) {
    const other = postgres.calls[index]?.answer;
    if (!isDeepStrictEqual(answer, other)) {
      const told = [`in memory:     ${tell(answer)}`, `in PostgreSQL: ${tell(other)}`];
      throw new Error(["The stores differ:", ...story, `differently answered: ${what}`, ...told].join("\n  "));
    }
    if (answer !== undefined) story.push(`  ${what.split(" ", 2).join(" ")} … ${tell(answer)}`);
  }
  for (const { calls } of [memory, postgres]) {
    const open = calls.filter(({ answer }) => answer === undefined);
    calls.splice(0, calls.length, ...open);
  }
}

function tell(answer: unknown): string {
  return answer === undefined ? "waits" : show(answer);
}
