import { type Clock, type DeadLetterSelection, sleep } from "@pup/core";
import type { MemoryStore } from "@pup/testing";
import type { Account } from "./account.ts";
import type { Chance } from "./chance.ts";
import type { Fleet, Member } from "./fleet.ts";
import type { Ledger } from "./ledger.ts";
import type { Poison } from "./poison.ts";
import type { Tally } from "./tally.ts";
import type { Trace } from "./trace.ts";

/** What whoever looks after the consumers needs. */
export interface OperatorOptions {
  /** A connection of its own, on which nothing gets lost. */
  readonly connection: MemoryStore;
  readonly fleet: Fleet;
  readonly ledger: Ledger;
  readonly poison: Poison;
  readonly time: Clock;
  readonly chance: Chance;
  readonly trace: Trace;
  readonly tally: Tally;
}

/** Somebody who looks after what consumers could not handle. */
export interface Operator {
  /** Does something now and then, until the signal aborts. */
  workUntil(signal: AbortSignal): Promise<void>;
  /** Has all letters handled again that can be. @returns whether there are any */
  retryCurable(): boolean;
  /** Replaces workers with consumers that have stopped, and could go on, by ones of that release. @returns whether there were any */
  replaceStopped(release: readonly string[]): boolean;
}

/** Longest time between two things that are done, in milliseconds. */
const EVERY_MS = 10_000;

/** Creates the operator. */
export function createOperator(options: OperatorOptions): Operator {
  const { connection, fleet, ledger, poison, time, chance, trace, tally } = options;
  const note = (what: string) => trace.note("operator", what);

  const acts: Record<string, () => Promise<void>> = { retry, discard, mend, replace: replaceFailed };

  async function attempt(act: () => Promise<unknown>): Promise<void> {
    try {
      await act();
    } catch (error) {
      note(`gives up: ${(error as Error).message}`);
    }
  }

  /** Letters of some consumer: one of them, those of an aggregate, or all. */
  function select(): DeadLetterSelection | null {
    const accounts = [...ledger.accounts.values()].filter(({ letters }) => letters.size > 0);
    if (accounts.length === 0) return null;
    const { plan, letters, eventAt } = chance.pick(accounts);
    const position = chance.pick([...letters.keys()]);
    const { aggregateType, aggregateId } = eventAt(position) ?? {};
    const consumer = plan.name;
    const which = chance.pick(["one", "aggregate", "all"] as const);
    if (which === "one") return { consumer, positions: [position] };
    if (which === "all" || !aggregateType || !aggregateId) return { consumer };
    return { consumer, aggregate: { aggregateType, aggregateId } };
  }

  async function retry(): Promise<void> {
    const selection = select();
    if (!selection) return;
    tally.count("dead letters are to be handled again");
    note(`wants dead letters handled again: ${describe(selection)}`);
    await connection.retryDeadLetters(selection);
  }

  async function discard(): Promise<void> {
    const selection = select();
    if (!selection) return;
    tally.count("dead letters are discarded");
    const { consumer } = selection;
    // What is selected, as it stands: the ledger has to know which ones are given up.
    const letters = await connection.listDeadLetters(selection);
    const { positions = letters.map(({ position }) => position) } = selection;
    note(`discards dead letters of ${consumer}: ${positions.join(" ")}`);
    ledger.noteDiscarded(consumer, positions, await connection.discardDeadLetters({ consumer, positions }));
  }

  async function mend(): Promise<void> {
    const { name } = chance.pick([...ledger.accounts.values()]).plan;
    tally.count("consumer's code is mended");
    note(`mends ${name}`);
    poison.mend(name, await connection.latestPosition());
  }

  async function replaceFailed(): Promise<void> {
    const member = fleet.members.find((each) => !each.isStopping && failedIn(each).length > 0);
    if (!member) return;
    tally.count("worker with a failed consumer is replaced");
    void fleet.stop(member);
    fleet.start(member.consumers);
  }

  /** Letters that nothing keeps from being handled: not for good, and not behind one that is. */
  function curable({ plan, letters, eventAt, waitsFor }: Account): readonly bigint[] {
    const failsForGood = (position: bigint) => {
      const event = eventAt(position);
      return event !== undefined && poison.failsForGood(plan, event);
    };
    return [...letters].flatMap(([position, parked]) => {
      const first = parked ? waitsFor(position) : null;
      return first !== null || failsForGood(position) ? [] : [position];
    });
  }

  return {
    async workUntil(signal) {
      while (!signal.aborted) {
        await sleep(time, chance.between(0, EVERY_MS), signal);
        if (signal.aborted) return;
        const act = chance.pick(Object.values(acts));
        await attempt(act);
      }
    },

    retryCurable() {
      let found = false;
      for (const account of ledger.accounts.values()) {
        const positions = curable(account);
        if (positions.length === 0) continue;
        found = true;
        // Nobody waits for it here: its rows may be locked until time goes on.
        void attempt(() => connection.retryDeadLetters({ consumer: account.plan.name, positions }));
      }
      return found;
    },

    replaceStopped(release) {
      const isStanding = (name: string) => !isStuck(ledger.accounts.get(name) as Account, poison);
      const concerned = fleet.members.filter((each) => !each.isStopping && failedIn(each).some(isStanding));
      for (const member of concerned) {
        note(`replaces ${member.name}, where a consumer has stopped that could go on`);
        void fleet.stop(member);
        fleet.start(release);
      }
      return concerned.length > 0;
    },
  };
}

/** Whether a consumer is to stand still for good, before an event that it will never handle. */
export function isStuck({ plan, checkpoint, next }: Account, poison: Poison): boolean {
  const event = next();
  return checkpoint !== null && plan.onFailure === "stop" && event !== null && poison.failsForGood(plan, event);
}

function failedIn({ worker }: Member): readonly string[] {
  return worker
    .health()
    .consumers.filter(({ state }) => state === "failed")
    .map(({ name }) => name);
}

function describe({ consumer, positions, aggregate }: DeadLetterSelection): string {
  if (positions) return `${consumer} ${positions.join(" ")}`;
  return aggregate ? `${consumer} ${aggregate.aggregateType} ${aggregate.aggregateId}` : `${consumer}, all`;
}
