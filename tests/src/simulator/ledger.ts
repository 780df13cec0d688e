import type { Clock, GlobalPosition, RecordedEvent } from "@pup/core";
import type { MemoryStore } from "@pup/testing";
import { type Account, type CommittedBatch, openAccount } from "./account.ts";
import { readApplied } from "./effects.ts";
import type { ConsumerPlan } from "./scenario.ts";
import type { Report } from "./violation.ts";

/** Compares what consumers have committed with what the application has. */
export interface Ledger {
  /** One for each consumer, by name. */
  readonly accounts: ReadonlyMap<string, Account>;
  /** The application has committed these. */
  noteCommitted(events: readonly RecordedEvent[]): void;
  /** A consumer has got its checkpoint, unless it had one already. */
  noteCreated(consumer: string, position: GlobalPosition): void;
  noteBatch(consumer: string, batch: CommittedBatch): void;
  /** A handler without a transaction has had its effect. */
  noteOutside(consumer: string, position: GlobalPosition): void;
  /** Somebody has discarded letters: so many of those at these positions. */
  noteDiscarded(consumer: string, positions: readonly GlobalPosition[], discarded: number): void;
  /** Looks at every consumer as it stands between two steps: I1, I2 and I3; at letters as such not more often than each second. */
  check(): Promise<void>;
}

/** Letters that one question returns at most. */
const ALL = 10_000;

/** Least time between two looks at all dead letters, in milliseconds. One that is wrong stays wrong until then. */
const LETTERS_EVERY_MS = 1_000;

/** Creates the ledger. `observer` is a connection of its own. */
export function createLedger(
  observer: MemoryStore,
  time: Clock,
  consumers: readonly ConsumerPlan[],
  report: Report,
): Ledger {
  const accounts = new Map(consumers.map((plan) => [plan.name, openAccount(plan, report)]));
  const names = [...accounts.keys()];
  const accountOf = (consumer: string) => accounts.get(consumer) as Account;
  let appliedBy = readApplied(observer);
  let effectsMoved = false;
  let lettersMoved = false;
  let lettersSeenAt = 0;

  async function compareLetters(): Promise<void> {
    const standing = await observer.listDeadLetters({ limit: ALL });
    for (const { consumer, position } of standing) {
      if (accountOf(consumer).letters.has(position)) continue;
      report("I1", `there is a letter of ${consumer} and ${position} that no batch has left there`);
    }
    const expected = [...accounts.values()].reduce((sum, { letters }) => sum + letters.size, 0);
    if (standing.length < expected) report("I1", `there are ${standing.length} letters, and batches left ${expected}`);
  }

  return {
    accounts,
    noteCommitted(events) {
      for (const event of events) for (const account of accounts.values()) account.noteCommitted(event);
    },
    noteCreated: (consumer, position) => accountOf(consumer).noteCreated(position),
    noteBatch(consumer, batch) {
      accountOf(consumer).noteBatch(batch);
      effectsMoved = true;
      lettersMoved ||= batch.put.length > 0 || batch.resolved.length > 0;
    },
    noteOutside: (consumer, position) => accountOf(consumer).noteOutside(position),
    noteDiscarded(consumer, positions, discarded) {
      lettersMoved = true;
      const standing = accountOf(consumer).noteDiscarded(positions);
      if (standing !== discarded) {
        report("I1", `${discarded} letters of ${consumer} were discarded, and ${standing} were there`);
      }
    },
    async check() {
      if (effectsMoved) appliedBy = readApplied(observer);
      effectsMoved = false;
      for (const checkpoint of await observer.readCheckpoints(names)) {
        accountOf(checkpoint.consumer).check(checkpoint, appliedBy(checkpoint.consumer));
      }
      if (!lettersMoved || time.now() < lettersSeenAt + LETTERS_EVERY_MS) return;
      lettersMoved = false;
      lettersSeenAt = time.now();
      await compareLetters();
    },
  };
}
