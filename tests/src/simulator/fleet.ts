import { createWorker, type RunOnceOutcome, type Worker, type WorkerOptions } from "@pup/coordinator";
import type { Clock, WorkerEvents } from "@pup/core";
import { createPollDispatcher } from "@pup/dispatch-poll";
import { createMemoryDispatcher, type MemoryStore, type MemoryTransaction } from "@pup/testing";
import type { Breakage } from "./breakages.ts";
import type { Chance } from "./chance.ts";
import { createCountingConsumer } from "./consumers.ts";
import type { Ledger } from "./ledger.ts";
import { createNetwork, type Network } from "./network.ts";
import type { Poison } from "./poison.ts";
import type { Scenario } from "./scenario.ts";
import { createProcess, type SimulatedProcess } from "./simulated-process.ts";
import type { Tally } from "./tally.ts";
import type { Trace } from "./trace.ts";
import { relaySignals, type SignalRelay } from "./unreliable-signals.ts";
import type { Report } from "./violation.ts";
import type { Weather } from "./weather.ts";
import type { Witness } from "./witness.ts";

/** A worker, its process and its connections. */
export interface Member {
  readonly name: string;
  readonly worker: Worker;
  /** Names of the consumers whose code it has. */
  readonly consumers: readonly string[];
  readonly process: SimulatedProcess;
  readonly connection: MemoryStore;
  readonly network: Network;
  readonly relay: SignalRelay;
  /** Takes consumers to the head once, beside the fleet, and ends. */
  readonly isSingleRun: boolean;
  /** It was told to stop. */
  isStopping: boolean;
}

/** All workers of a run. */
export interface Fleet {
  /** Those that live, stopping ones and single runs included. */
  readonly members: readonly Member[];
  /** Those that have stopped in good order. */
  readonly stopped: readonly Member[];
  /** Starts a worker of one release. */
  start(release: readonly string[]): Member;
  /** Starts a single run of one release. */
  runOnce(release: readonly string[]): Member;
  /** Tells a worker to stop. Resolves when it has. */
  stop(member: Member): Promise<void>;
  /** Ends a worker's process. */
  crash(member: Member): void;
  /** Lets a worker's process stand still for a while. */
  pause(member: Member, forMs: number): void;
  /** Lets all go on that stand still. */
  resumeAll(): void;
}

/** What the workers live in. */
export interface FleetOptions {
  readonly store: MemoryStore;
  readonly time: Clock;
  readonly scenario: Scenario;
  readonly weather: Weather;
  readonly poison: Poison;
  readonly ledger: Ledger;
  readonly witness: Witness;
  readonly breakage: Breakage;
  readonly chance: Chance;
  readonly trace: Trace;
  readonly tally: Tally;
  readonly report: Report;
  /** Whether somebody wants to know what workers say. */
  readonly listens: boolean;
}

/** Creates the fleet. */
export function createFleet(options: FleetOptions): Fleet {
  const { store, time, scenario, weather, witness, breakage, trace, tally, report } = options;
  const { rates, leaseDurationMs } = scenario;
  const { heartbeatTimeoutMs } = scenario.options;
  const longestPauseMs = 1.5 * heartbeatTimeoutMs;
  const members: Member[] = [];
  const stopped: Member[] = [];
  let started = 0;

  function create(release: readonly string[], isSingleRun: boolean): Member {
    const chance = options.chance.fork();
    const name = `w${++started}`;
    const process = createProcess(name, time, {
      offsetMs: chance.between(-1_000_000, 1_000_000),
      rate: chance.between(0.95, 1.05),
    });
    const connection = store.connect({ applicationName: name });
    const watched = witness.watch(breakage.database?.(connection) ?? connection, {
      name,
      workerId: () => member.worker.id,
    });
    const server = breakage.server?.(watched, connection) ?? watched;
    const fate = chance.fork();
    const network = createNetwork({
      process,
      connection,
      server,
      scenario,
      weather,
      chance: chance.fork(),
      trace,
      tally,
      onBatch(moment) {
        if (!weather.isRough || process.isDead) return;
        if (fate.happens(rates.deathInBatch)) crash(member, moment);
        else if (fate.happens(rates.pauseInBatch)) pause(member, fate.between(0, longestPauseMs), moment);
      },
    });
    const relay = relaySignals(connection, process, rates, weather, chance.fork(), tally);
    const worker = createWorker({ ...workerOptions(release, process, network, relay, chance), ...breakage.options });
    const member: Member = {
      name,
      worker,
      consumers: release,
      process,
      connection,
      network,
      relay,
      isSingleRun,
      isStopping: false,
    };
    members.push(member);
    if (options.listens) worker.events.onAny((event, payload) => tell(name, event, payload));
    return member;
  }

  function workerOptions(
    release: readonly string[],
    process: SimulatedProcess,
    network: Network,
    relay: SignalRelay,
    chance: Chance,
  ): WorkerOptions<MemoryTransaction> {
    const dispatcher = chance.happens(0.7)
      ? createMemoryDispatcher(relay)
      : createPollDispatcher({ intervalMs: 1_000 });
    return {
      store: network.store,
      dispatcher: breakage.dispatcher?.(dispatcher, network) ?? dispatcher,
      consumers: scenario.consumers
        .filter((plan) => release.includes(plan.name))
        .map((plan) => createCountingConsumer(plan, { ...options, process, chance: chance.fork() })),
      clock: process.clock,
      random: chance.fork().random,
      maxRetryBackoffMs: 5_000,
      ...scenario.options,
    };
  }

  function start(release: readonly string[]): Member {
    const member = create(release, false);
    const { name } = member;
    trace.note(name, `starts with ${release.join(" ")}`);
    const ended = () => leave(member);
    member.worker.start().then(ended, (error: Error) => {
      // Told to stop before the server could be reached.
      if (!member.isStopping) report("I5", `${name} ended by itself: ${error.message}`);
      ended();
    });
    return member;
  }

  function runOnce(release: readonly string[]): Member {
    const member = create(release, true);
    trace.note(member.name, `runs ${release.join(" ")} once`);
    void runToHead(member).then(() => leave(member));
    return member;
  }

  async function runToHead({ name, worker }: Member): Promise<void> {
    try {
      const head = await store.latestPosition().catch(() => 0n);
      for (const outcome of await worker.runOnce()) await checkOutcome(name, outcome, head);
    } catch (error) {
      trace.note(name, `gives its single run up: ${(error as Error).message}`);
      tally.count("single run fails");
    }
  }

  /** Who says that a consumer has caught up says so of what was there when it was asked. */
  async function checkOutcome(name: string, { consumer, outcome, position }: RunOnceOutcome, head: bigint) {
    tally.count(`single run finds a consumer ${outcome}`);
    if (outcome !== "caught-up" || position === null) return;
    const [checkpoint] = await store.readCheckpoints([consumer]);
    const stands = checkpoint?.position ?? 0n;
    if (position < head) report("I5", `${name} took ${consumer} to ${position}, and the head was ${head}`);
    if (position > stands) report("I1", `${name} took ${consumer} to ${position}, and it stands at ${stands}`);
  }

  function crash(member: Member, when = ""): void {
    remove(member);
    trace.note(member.name, `crashes ${when}`);
    tally.count(`process dies ${when}`.trimEnd());
    member.process.die();
    member.connection.kill();
  }

  function pause({ process, name }: Member, forMs: number, when = ""): void {
    if (process.isPaused) return;
    trace.note(name, `stands still for ${Math.round(forMs)} ms ${when}`);
    tally.count(`process stands still ${when}`.trimEnd());
    if (forMs > heartbeatTimeoutMs) tally.count("process stands still for longer than counts as death");
    if (!scenario.sessionLocks && forMs > leaseDurationMs) tally.count("process stands still for longer than a lease");
    process.pause();
    time.after(forMs, () => {
      if (process.isPaused) trace.note(name, "goes on");
      process.resume();
    });
  }

  function remove(member: Member): void {
    members.splice(members.indexOf(member), 1);
    member.relay.end();
  }

  function leave(member: Member): void {
    if (member.process.isDead) return;
    remove(member);
    trace.note(member.name, "has stopped");
    stopped.push(member);
  }

  function tell(name: string, event: keyof WorkerEvents, payload: object): void {
    tally.count(event);
    if (trace.isKept) trace.note(name, `${event} ${JSON.stringify(payload, printable)}`);
  }

  return {
    members,
    stopped,
    start,
    runOnce,
    async stop(member) {
      member.isStopping = true;
      trace.note(member.name, "is told to stop");
      await member.worker.stop();
    },
    crash,
    pause,
    resumeAll() {
      for (const { process } of members) process.resume();
    },
  };
}

/** Writes what JSON has no words for. */
export function printable(_: string, value: unknown): unknown {
  if (typeof value === "bigint") return Number(value);
  return value instanceof Error ? `${value.name}: ${value.message}` : value;
}
