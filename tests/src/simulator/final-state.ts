import type { ControlSession } from "@pup/core";
import type { MemoryStore } from "@pup/testing";
import type { Account } from "./account.ts";
import type { Fleet, Member } from "./fleet.ts";
import type { Ledger } from "./ledger.ts";
import { isStuck } from "./operator.ts";
import type { Poison } from "./poison.ts";
import type { Scenario } from "./scenario.ts";
import type { Report, Violation } from "./violation.ts";

/** What is looked at once faults are over. */
export interface FinalStateOptions {
  readonly fleet: Fleet;
  readonly scenario: Scenario;
  readonly ledger: Ledger;
  readonly poison: Poison;
  readonly observer: MemoryStore;
  readonly report: Report;
}

/** How many events the consumer with the most work has before it: what lies ahead, which may be put aside first, and its letters. */
export async function mostAhead({ ledger, observer }: FinalStateOptions): Promise<number> {
  const head = await observer.latestPosition();
  const counts = [...ledger.accounts.values()].map(({ checkpoint, letters }) => {
    return 2 * Number(head - (checkpoint?.position ?? 0n)) + letters.size;
  });
  return Math.max(...counts);
}

/**
 * Who has not come to rest yet: I4 and I5. At rest is who stands at the head, with one owner and no letter that is to be handled
 * again, or has stopped for good in one worker. Null when everybody is.
 */
export async function findUnrest(options: FinalStateOptions): Promise<Violation | null> {
  const { fleet, ledger, poison, observer } = options;
  await ledger.check();
  const head = await observer.latestPosition();
  const due = (await observer.listDeadLetters()).find((letter) => letter.due);
  if (due) return { invariant: "I5", what: `${due.consumer} has not handled ${due.position} again` };
  for (const account of ledger.accounts.values()) {
    const unrest = isStuck(account, poison) ? findStirring(fleet, account) : findLag(fleet, account, head);
    if (unrest) return unrest;
  }
  return findUnevenness(fleet.members);
}

function findLag(fleet: Fleet, { plan: { name }, checkpoint }: Account, head: bigint): Violation | null {
  const { position = null, ownerId = null } = checkpoint ?? {};
  const owners = fleet.members.filter((member) => stateOf(member, name) === "running");
  const [owner] = owners;
  if (owner === undefined || owners.length > 1) {
    return { invariant: "I4", what: `${name} runs in ${owners.map((one) => one.name).join(" and ") || "no worker"}` };
  }
  if (ownerId !== owner.worker.id) {
    return { invariant: "I4", what: `${name} runs in ${owner.name}, and its checkpoint says otherwise` };
  }
  if ((position ?? 0n) < head) {
    return { invariant: "I5", what: `${name} stands at ${position}, and the head of the log is ${head}` };
  }
  return null;
}

/** A consumer that has stopped for good stands in one worker, and nobody tries any more. */
function findStirring(fleet: Fleet, { plan: { name } }: Account): Violation | null {
  const states = fleet.members.map((member) => stateOf(member, name)).filter((state) => state !== "idle");
  if (states.length === 1 && states[0] === "failed") return null;
  return { invariant: "I4", what: `${name} cannot go on, and is ${states.join(" and ") || "in no worker"}` };
}

/** Somebody has two more than somebody else who could have one of them. */
function findUnevenness(members: readonly Member[]): Violation | null {
  const hands = members.map((member) => ({
    member,
    has: member.consumers.filter((name) => stateOf(member, name) !== "idle"),
  }));
  for (const rich of hands) {
    for (const poor of hands) {
      const couldMove = rich.has.some((name) => poor.member.consumers.includes(name));
      if (couldMove && rich.has.length - poor.has.length > 1) {
        const counts = `${rich.member.name} has ${rich.has.length} consumers, ${poor.member.name} ${poor.has.length}`;
        return { invariant: "I4", what: counts };
      }
    }
  }
  return null;
}

function stateOf({ worker }: Member, consumer: string): string {
  return worker.health().consumers.find(({ name }) => name === consumer)?.state ?? "idle";
}

/** Those that have a line to the others and hear of them over it, so that they can sign off. */
export function membersInTouch({ fleet, scenario }: FinalStateOptions, nowMs: number): readonly Member[] {
  const heardSinceMs = nowMs - 2 * scenario.options.assignmentPollMs;
  return fleet.members.filter(
    ({ isStopping, connection, network }) =>
      !isStopping && connection.controlSessions.length > 0 && (network.lastAnswerMs("sync") ?? 0) >= heardSinceMs,
  );
}

/**
 * Whether the workers have left anything behind, now that all have stopped: I7.
 *
 * @param inTouch - those that could sign off when they were told to stop
 */
export async function checkNothingLeft(
  { fleet, ledger, poison, observer, report }: FinalStateOptions,
  inTouch: readonly Member[],
): Promise<void> {
  await ledger.check();
  const session: ControlSession = await observer.openControlSession();
  const workers = await session.observeWorkers();
  const { assignments } = await session.survey();
  const { appenders } = await observer.inFlightAppenders();
  const leadership = await session.election.tick();
  await session.close();
  for (const { name, process, connection } of fleet.stopped) {
    if (process.pending > 0) report("I7", `${name} has left ${process.pending} callbacks on its clock`);
    if (connection.controlSessions.length > 0) report("I7", `${name} has left a control session open`);
  }
  for (const { name, worker } of inTouch) {
    if (workers.some(({ workerId }) => workerId === worker.id)) report("I7", `${name} is still registered`);
    if ([...assignments.values()].includes(worker.id)) report("I7", `${name} still has consumers`);
  }
  if (appenders.length > 0) report("I7", `${appenders.length} transactions are still open`);
  if (leadership === null) report("I7", "the leadership is still held");
  for (const account of ledger.accounts.values()) {
    // One that stopped while the server was away could not be handed back, and nobody needs it.
    if (account.checkpoint?.ownerId && !isStuck(account, poison)) {
      report("I7", `${account.plan.name} has not been handed back`);
    }
  }
}
