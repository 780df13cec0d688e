import type { RecordedEvent } from "@pup/core";
import { describe, expect, it } from "vitest";
import { type Account, openAccount } from "./account.ts";
import { weightOf } from "./effects.ts";
import type { ConsumerPlan } from "./scenario.ts";

const plan: ConsumerPlan = {
  name: "orders",
  startFrom: "beginning",
  inBulk: false,
  isDetached: false,
  onFailure: "park",
  maxConsecutiveFailures: 1,
};

const event = (globalPosition: bigint, aggregateId = "o-1"): RecordedEvent => ({
  globalPosition,
  id: `event-${globalPosition}`,
  aggregateType: "Order",
  aggregateId,
  aggregateVersion: Number(globalPosition),
  type: "Placed",
  version: 1,
  payload: {},
  metadata: null,
  traceId: null,
  correlationId: null,
  causationId: null,
  createdAt: new Date(Number(globalPosition)),
});

/** What is reported of a consumer to which events 1, 2 (of another aggregate) and 3 are due. */
function reportsOf(act: (account: Account) => void, changes: Partial<ConsumerPlan> = {}): string[] {
  const reports: string[] = [];
  const account = openAccount({ ...plan, ...changes }, (invariant, what) => void reports.push(`${invariant} ${what}`));
  account.noteCreated(0n);
  for (const each of [event(1n), event(2n, "o-2"), event(3n)]) account.noteCommitted(each);
  act(account);
  return reports;
}

const batch = { applied: [], put: [], resolved: [] };
const standAt = (account: Account, position: bigint, ...applied: bigint[]) =>
  account.check(
    { consumer: "orders", position, epoch: 1, ownerId: null },
    applied.reduce((sum, each) => sum + weightOf(each), 0n),
  );

describe("An account", () => {
  it("finds nothing wrong with events that were applied once, parked in order, handled again or given up", () => {
    const reports = reportsOf((account) => {
      account.noteBatch({ ...batch, applied: [2n], put: [{ position: 1n, parked: true }] });
      account.noteBatch({ ...batch, put: [{ position: 3n, parked: true }] });
      standAt(account, 3n, 2n);
      account.noteBatch({ ...batch, applied: [1n], resolved: [1n] });
      expect(account.noteDiscarded([1n, 3n])).toBe(1);
      standAt(account, 3n, 2n, 1n);
    });

    expect(reports).toEqual([]);
  });

  it.each<[string, (account: Account) => void, string]>([
    ["left out", (account) => standAt(account, 1n), "I1 orders stands at 1 and has left 1 out"],
    [
      "applied without its effects",
      (account) => {
        account.noteBatch({ ...batch, applied: [1n] });
        standAt(account, 1n);
      },
      "I1 orders has effects of 0 events, and its batches have applied 1",
    ],
    [
      "applied twice",
      (account) => {
        account.noteBatch({ ...batch, applied: [1n] });
        account.noteBatch({ ...batch, applied: [1n] });
      },
      "I1 orders applied 1 twice",
    ],
    [
      "committed behind the checkpoint",
      (account) => {
        account.noteBatch({ ...batch, applied: [1n, 2n, 3n] });
        standAt(account, 5n, 1n, 2n, 3n);
        account.noteCommitted(event(4n));
      },
      "I1 orders stands at 5, and only now 4 was committed",
    ],
    [
      "applied out of order",
      (account) => account.noteBatch({ ...batch, applied: [2n, 1n] }),
      "I2 orders applied 1 after 2",
    ],
    [
      "applied ahead of a parked one",
      (account) => {
        account.noteBatch({ ...batch, put: [{ position: 1n, parked: true }] });
        account.noteBatch({ ...batch, applied: [2n, 3n] });
      },
      "I2 orders applied 3 while 1 of its aggregate is parked",
    ],
    [
      "a letter and applied",
      (account) => {
        account.noteBatch({ ...batch, applied: [1n] });
        account.noteBatch({ ...batch, put: [{ position: 1n, parked: true }] });
      },
      "I1 orders put 1 aside, which it had applied",
    ],
    [
      "taken from the letters unhandled",
      (account) => {
        account.noteBatch({ ...batch, put: [{ position: 1n, parked: true }] });
        account.noteBatch({ ...batch, resolved: [1n] });
      },
      "I1 orders took the letter of 1 away and has not handled it",
    ],
  ])("finds an event that was %s", (_, act, report) => {
    expect(reportsOf(act)).toContain(report);
  });

  it("bears repeats outside of transactions, and nothing that is left out on the way", () => {
    const repeat = (account: Account) => {
      for (const position of [1n, 2n, 2n, 1n, 2n, 3n]) account.noteOutside(position);
      standAt(account, 3n);
    };
    const skip = (account: Account) => account.noteOutside(2n);

    expect(reportsOf(repeat, { isDetached: true })).toEqual([]);
    const skipInAggregate = (account: Account) => account.noteOutside(3n);

    expect(reportsOf(skip, { isDetached: true, onFailure: "skip" })).toEqual(["I2 orders handled 2 before 1"]);
    expect(reportsOf(skip, { isDetached: true, onFailure: "park" })).toEqual([]);
    expect(reportsOf(skipInAggregate, { isDetached: true, onFailure: "park" })).toEqual([
      "I2 orders handled 3 before 1",
    ]);
  });

  it("lets a consumer that is to stop put nothing aside", () => {
    const put = (account: Account) => account.noteBatch({ ...batch, put: [{ position: 1n, parked: false }] });

    expect(reportsOf(put, { onFailure: "stop" })).toEqual(["I1 orders put 1 aside, and was to stop before it"]);
  });
});
