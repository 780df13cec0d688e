import type { ControlSession, Leadership } from "@pup/core";
import { createMemoryStore } from "@pup/testing";
import fc from "fast-check";
import type { Sql } from "postgres";
import { afterAll, beforeAll, describe, inject, it } from "vitest";
import { appends } from "./parity/appends.ts";
import { consumerOperations, owned, readCheckpoints } from "./parity/consumer-operations.ts";
import { heldTransactions, open } from "./parity/held-transactions.ts";
import { allLetters, letterOperations, someLetters } from "./parity/letter-operations.ts";
import { logReads, wholeLog } from "./parity/log-reads.ts";
import type { Operation } from "./parity/operation.ts";
import { play } from "./parity/play.ts";
import { openWorld } from "./parity/world.ts";
import { openParts, type Parts } from "./support/open-parts.ts";

/**
 * Sequences of each kind, and where chance begins. Always the same ones in a test run; for others, and more of them:
 * `PUP_PARITY_RUNS=1000 PUP_PARITY_SEED=2 npm test -- --project int tests/src/parity`.
 */
const numRuns = Number(process.env.PUP_PARITY_RUNS ?? 20);
const seed = Number(process.env.PUP_PARITY_SEED ?? 1);

/** Most of it is for finding the shortest sequence when one fails. */
const LONGEST_TIME_MS = 120_000 + numRuns * 2_000;

interface Leader {
  readonly session: ControlSession;
  readonly leadership: Leadership;
}

let parts: Parts;
let leader: Leader;
beforeAll(async () => {
  parts = await openParts(inject("postgresUrl"));
  const session = await parts.store.openControlSession();
  leader = { session, leadership: (await session.election.tick()) as Leadership };
});
afterAll(async () => {
  await leader.session.close();
  await parts[Symbol.asyncDispose]();
});

/** Takes away what a sequence has left. */
async function empty(sql: Sql): Promise<void> {
  await sql`
    DELETE FROM events; DELETE FROM aggregate_heads; DELETE FROM consumer_checkpoints; DELETE FROM consumer_dead_letters;
    DELETE FROM consumer_assignments; DELETE FROM worker_nodes;
    SELECT setval(pg_get_serial_sequence('events', 'global_position'), 1, false)`.simple();
}

async function countWaiting(sql: Sql): Promise<number> {
  const [row] = await sql<{ waiting: number }[]>`
    SELECT count(DISTINCT lock.pid)::integer AS waiting
    FROM pg_locks AS lock JOIN pg_stat_activity AS session ON session.pid = lock.pid
    WHERE NOT lock.granted AND session.datname = current_database()`;
  return row?.waiting ?? 0;
}

/** Plays a sequence in two empty stores. */
async function playOnce(
  { store, sql }: Parts,
  leader: Leader,
  operations: readonly Operation[],
  look: Operation,
): Promise<void> {
  await empty(sql);
  const memory = createMemoryStore();
  const session = await memory.openControlSession();
  const leadership = (await session.election.tick()) as Leadership;
  await play(
    {
      memory: await openWorld(memory, session, leadership),
      postgres: await openWorld(store, leader.session, leader.leadership),
      countWaiting: () => countWaiting(sql),
    },
    operations,
    look,
  );
}

/** Operations of one kind, what comes before them, and what is looked at after each. */
interface Kind {
  readonly title: string;
  readonly prelude: readonly Operation[];
  readonly operations: fc.Arbitrary<Operation>;
  readonly look: Operation;
}

const kinds: readonly Kind[] = [
  {
    title: "appends and reads",
    prelude: [open(0, null), open(1, null)],
    operations: fc.oneof(
      { weight: 6, arbitrary: appends },
      { weight: 3, arbitrary: heldTransactions },
      { weight: 2, arbitrary: logReads },
    ),
    look: wholeLog,
  },
  {
    title: "checkpoints and batches",
    prelude: owned,
    operations: fc.oneof({ weight: 2, arbitrary: consumerOperations }, heldTransactions),
    look: readCheckpoints,
  },
  {
    title: "dead letters",
    prelude: [...owned, ...someLetters],
    operations: fc.oneof(
      { weight: 6, arbitrary: letterOperations },
      { weight: 3, arbitrary: heldTransactions },
      consumerOperations,
    ),
    look: allLetters,
  },
];

describe("The stores in memory and on PostgreSQL", () => {
  it.each(kinds)(
    "differ in nothing that anybody could notice: $title",
    { timeout: LONGEST_TIME_MS },
    async ({ prelude, operations, look }) => {
      // Without bias towards what is small: a short sequence tells little.
      const sequences = fc.noBias(fc.array(operations, { minLength: 1, maxLength: 40, size: "max" }));
      await fc.assert(
        fc.asyncProperty(sequences, async (sequence) => {
          await playOnce(parts, leader, [...prelude, ...sequence], look);
        }),
        { numRuns, seed },
      );
    },
  );
});
