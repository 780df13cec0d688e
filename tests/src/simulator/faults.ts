import { type Clock, sleep } from "@pup/core";
import type { MemoryStore } from "@pup/testing";
import type { Chance } from "./chance.ts";
import type { Fleet, Member } from "./fleet.ts";
import type { Scenario } from "./scenario.ts";
import type { Tally } from "./tally.ts";
import type { Trace } from "./trace.ts";

/** What faults need. */
export interface FaultsOptions {
  readonly fleet: Fleet;
  readonly store: MemoryStore;
  readonly time: Clock;
  readonly scenario: Scenario;
  readonly chance: Chance;
  readonly trace: Trace;
  readonly tally: Tally;
}

type Fault = (options: FaultsOptions, signal: AbortSignal) => unknown;

/** What goes wrong or is done, and how often in relation to the rest. */
const faults = {
  crash: { weight: 3, act: (options) => onOne(options, (member) => crash(options, member)) },
  pause: { weight: 3, act: (options) => onOne(options, (member) => pause(options, member)) },
  cutLine: { weight: 2, act: (options) => onOne(options, (member) => cutLine(options, member)) },
  cutBatches: { weight: 2, act: (options) => onOne(options, (member) => cutBatches(options, member)) },
  loseLeader: { weight: 2, act: loseLeader },
  deploy: { weight: 3, act: deploy },
  scaleUp: { weight: 1, act: startOne },
  scaleDown: { weight: 1, act: (options) => onOne(options, (member) => stop(options, member)) },
  singleRun: { weight: 2, act: runOnce },
  restart: { weight: 1, act: restart },
  outage: { weight: 1, act: outage },
  standby: { weight: 1, act: standby },
} satisfies Record<string, { weight: number; act: Fault }>;

const weights = Object.fromEntries(Object.entries(faults).map(([name, { weight }]) => [name, weight])) as Record<
  keyof typeof faults,
  number
>;

/** Most workers that live at once, stopping ones included. */
const MOST_MEMBERS = 9;

/** Longest time until a worker is replaced that has gone, in milliseconds. */
const REPLACED_AFTER_MS = 15_000;

/** How often it is looked whether single runs have ended, in milliseconds. */
const LOOK_AGAIN_MS = 1_000;

/** Lets things go wrong until the signal aborts; mends then what would not mend by itself, and resolves when that is done. */
export async function causeFaults(options: FaultsOptions, signal: AbortSignal): Promise<void> {
  const { fleet, time, scenario, chance } = options;
  const lasting = new Set<Promise<void>>();
  const last = (work: Promise<void>) => {
    lasting.add(work);
    void work.finally(() => lasting.delete(work));
  };
  last(replaceTheGone(options, signal));
  while (!signal.aborted) {
    await sleep(time, chance.between(0, scenario.faultEveryMs), signal);
    if (signal.aborted) break;
    last(Promise.resolve(faults[chance.pickWeighted(weights)].act(options, signal)));
  }
  fleet.resumeAll();
  await Promise.all(lasting);
  for (const member of fleet.members) if (member.isSingleRun && !member.isStopping) stop(options, member);
  while (fleet.members.some(({ isSingleRun }) => isSingleRun)) await sleep(time, LOOK_AGAIN_MS);
}

/** Does something to one of the members that are not stopping, if there is one. */
function onOne({ fleet, chance }: FaultsOptions, act: (member: Member) => void): void {
  const members = fleet.members.filter(({ isStopping }) => !isStopping);
  if (members.length > 0) act(chance.pick(members));
}

function crash({ fleet }: FaultsOptions, member: Member): void {
  fleet.crash(member);
}

function pause({ fleet, scenario, chance }: FaultsOptions, member: Member): void {
  fleet.pause(member, chance.between(0, chance.pick([1_000, 1.5 * scenario.options.heartbeatTimeoutMs])));
}

function stop({ fleet, tally }: FaultsOptions, member: Member): void {
  tally.count("worker is told to stop");
  void fleet.stop(member);
}

function cutLine({ trace, tally }: FaultsOptions, { name, connection }: Member): void {
  trace.note(name, "loses its control session");
  tally.count("control session is lost");
  for (const session of connection.controlSessions) session.kill();
}

function cutBatches({ trace, tally }: FaultsOptions, { name, network }: Member): void {
  trace.note(name, "loses the connections of its batches");
  tally.count("connections of running batches are lost");
  network.cutBatches();
}

function loseLeader(options: FaultsOptions): void {
  const { fleet, chance, tally } = options;
  const leader = fleet.members.find(({ worker, isStopping }) => !isStopping && worker.health().leads);
  if (!leader) return;
  const way = chance.pick(["crash", "pause", "cutLine", "stop"] as const);
  tally.count(`leader is lost: ${way}`);
  if (way === "crash") crash(options, leader);
  else if (way === "pause") pause(options, leader);
  else if (way === "cutLine") cutLine(options, leader);
  else stop(options, leader);
}

function startOne({ fleet, scenario, chance, tally }: FaultsOptions): void {
  if (fleet.members.length >= MOST_MEMBERS) return;
  tally.count("worker comes");
  fleet.start(chance.pick(scenario.releases));
}

function runOnce({ fleet, scenario, chance, tally }: FaultsOptions): void {
  if (fleet.members.length >= MOST_MEMBERS) return;
  tally.count("single run comes");
  fleet.runOnce(chance.pick(scenario.releases));
}

/** Rolls another release out: one worker after the other stops and is replaced. */
async function deploy(options: FaultsOptions, signal: AbortSignal): Promise<void> {
  const { fleet, time, scenario, chance, trace, tally } = options;
  const release = chance.pick(scenario.releases);
  trace.note("app", `rolls out ${release.join(" ")}`);
  tally.count(release === scenario.releases.at(-1) ? "newest release is rolled out" : "older release is rolled out");
  for (const member of fleet.members.filter(({ isStopping, isSingleRun }) => !isStopping && !isSingleRun)) {
    if (signal.aborted) return;
    if (member.isStopping || member.process.isDead) continue;
    if (fleet.members.length < MOST_MEMBERS) fleet.start(release);
    await sleep(time, chance.between(0, 3_000), signal);
    if (!member.process.isDead && !member.isStopping) stop(options, member);
    await sleep(time, chance.between(0, 3_000), signal);
  }
}

function restart({ store, chance, trace, tally }: FaultsOptions): void {
  const crash = chance.happens(0.5);
  tally.count(crash ? "server crashes" : "server restarts");
  trace.note("server", crash ? "crashes and starts again" : "restarts");
  store.restart({ crash });
}

async function outage({ store, time, chance, trace, tally }: FaultsOptions, signal: AbortSignal): Promise<void> {
  trace.note("server", "cannot be reached");
  tally.count("server cannot be reached for a while");
  store.setReachable(false);
  await sleep(time, chance.between(0, chance.pick([2_000, 40_000])), signal);
  trace.note("server", "can be reached again");
  store.setReachable(true);
}

async function standby({ store, time, chance, trace, tally }: FaultsOptions, signal: AbortSignal): Promise<void> {
  trace.note("server", "crashes and recovers");
  tally.count("server is a standby for a while");
  store.setRecovering(true);
  store.restart({ crash: true });
  await sleep(time, chance.between(0, 5_000), signal);
  trace.note("server", "has recovered");
  store.setRecovering(false);
}

async function replaceTheGone(options: FaultsOptions, signal: AbortSignal): Promise<void> {
  const { fleet, time, scenario, chance } = options;
  while (!signal.aborted) {
    await sleep(time, chance.between(0, REPLACED_AFTER_MS), signal);
    const running = fleet.members.filter(({ isStopping, isSingleRun }) => !isStopping && !isSingleRun).length;
    if (!signal.aborted && running < scenario.workers) startOne(options);
  }
}
