import type { ControlSession } from "@pup/core";
import type { MemoryStore } from "@pup/testing";
import type { Fleet, Member } from "./fleet.ts";
import type { Ledger } from "./ledger.ts";
import type { Scenario } from "./scenario.ts";
import type { Report, Violation } from "./violation.ts";

/** What is looked at once faults are over. */
export interface FinalStateOptions {
  readonly fleet: Fleet;
  readonly scenario: Scenario;
  readonly ledger: Ledger;
  readonly observer: MemoryStore;
  readonly report: Report;
}

/** How many positions the consumer that is furthest back has before it. */
export async function mostBehind({ scenario, ledger, observer }: FinalStateOptions): Promise<number> {
  const head = await observer.latestPosition();
  const positions = scenario.consumers.map(({ name }) => ledger.checkpoints.get(name)?.position ?? 0n);
  return Math.max(...positions.map((position) => Number(head - position)));
}

/** Who has not come to rest yet, at the head and with one owner each: I4 and I5. Null when everybody has. */
export async function findUnrest({ fleet, scenario, ledger, observer }: FinalStateOptions): Promise<Violation | null> {
  await ledger.check();
  const head = await observer.latestPosition();
  for (const { name } of scenario.consumers) {
    const { position = null, ownerId = null } = ledger.checkpoints.get(name) ?? {};
    const owners = fleet.members.filter((member) => runs(member, name));
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
  }
  return findUnevenness(fleet.members);
}

/** Somebody has two more than somebody else who could have one of them. */
function findUnevenness(members: readonly Member[]): Violation | null {
  const hands = members.map((member) => ({ member, has: member.consumers.filter((name) => runs(member, name)) }));
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

function runs({ worker }: Member, consumer: string): boolean {
  return worker.health().consumers.some(({ name, state }) => name === consumer && state === "running");
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
  { fleet, ledger, observer, report }: FinalStateOptions,
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
  for (const { consumer, ownerId } of ledger.checkpoints.values()) {
    if (ownerId !== null) report("I7", `${consumer} has not been handed back`);
  }
}
