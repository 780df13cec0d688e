import { createWorker, type Worker } from "@pup/coordinator";
import type { Clock, WorkerEvents } from "@pup/core";
import { createPollDispatcher } from "@pup/dispatch-poll";
import { createMemoryDispatcher, type MemoryStore } from "@pup/testing";
import type { Breakage } from "./breakages.ts";
import type { Chance } from "./chance.ts";
import { createCountingConsumer } from "./consumers.ts";
import { createNetwork, type Network } from "./network.ts";
import type { Scenario } from "./scenario.ts";
import { createProcess, type SimulatedProcess } from "./simulated-process.ts";
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
  /** It was told to stop. */
  isStopping: boolean;
}

/** All workers of a run. */
export interface Fleet {
  /** Those that live, stopping ones included. */
  readonly members: readonly Member[];
  /** Those that have stopped in good order. */
  readonly stopped: readonly Member[];
  /** Starts a worker of one release. */
  start(release: readonly string[]): Member;
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
  readonly witness: Witness;
  readonly breakage: Breakage;
  readonly chance: Chance;
  readonly trace: Trace;
  readonly report: Report;
}

/** Creates the fleet. */
export function createFleet(options: FleetOptions): Fleet {
  const { store, time, scenario, weather, witness, breakage, trace, report } = options;
  const { rates } = scenario;
  const longestPauseMs = 1.5 * scenario.options.heartbeatTimeoutMs;
  const members: Member[] = [];
  const stopped: Member[] = [];
  let started = 0;

  function start(release: readonly string[]): Member {
    const chance = options.chance.fork();
    const name = `w${++started}`;
    const process = createProcess(name, time, {
      offsetMs: chance.between(-1_000_000, 1_000_000),
      rate: chance.between(0.95, 1.05),
    });
    const connection = store.connect({ applicationName: name });
    const watched = witness.watch(connection, { name, workerId: () => member.worker.id });
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
      onBatch(moment) {
        if (!weather.isRough || process.isDead) return;
        if (fate.happens(rates.deathInBatch)) crash(member, moment);
        else if (fate.happens(rates.pauseInBatch)) pause(member, fate.between(0, longestPauseMs), moment);
      },
    });
    const relay = relaySignals(connection, process, rates, weather, chance.fork());
    const dispatcher = chance.happens(0.7)
      ? createMemoryDispatcher(relay)
      : createPollDispatcher({ intervalMs: 1_000 });
    const consumers = scenario.consumers
      .filter((plan) => release.includes(plan.name))
      .map((plan) => createCountingConsumer(plan, { process, scenario, weather, chance: chance.fork(), trace }));

    const worker = createWorker({
      store: network.store,
      dispatcher: breakage.dispatcher?.(dispatcher, network) ?? dispatcher,
      consumers,
      clock: process.clock,
      random: chance.fork().random,
      // Failures are chance here, and a consumer that stops for good is another subject.
      maxConsecutiveFailures: 1_000_000,
      maxRetryBackoffMs: 5_000,
      ...scenario.options,
      ...breakage.options,
    });
    const member: Member = {
      name,
      worker,
      consumers: release,
      process,
      connection,
      network,
      relay,
      isStopping: false,
    };
    members.push(member);
    trace.note(name, `starts with ${release.join(" ")}`);
    if (trace.isKept) worker.events.onAny((event, payload) => tell(name, event, payload));
    const ended = () => leave(member);
    worker.start().then(ended, (error: Error) => {
      // Told to stop before the server could be reached.
      if (!member.isStopping) report("I5", `${name} ended by itself: ${error.message}`);
      ended();
    });
    return member;
  }

  function crash(member: Member, when = ""): void {
    remove(member);
    trace.note(member.name, `crashes ${when}`);
    member.process.die();
    member.connection.kill();
  }

  function pause({ process, name }: Member, forMs: number, when = ""): void {
    if (process.isPaused) return;
    trace.note(name, `stands still for ${Math.round(forMs)} ms ${when}`);
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
    trace.note(name, `${event} ${JSON.stringify(payload, printable)}`);
  }

  return {
    members,
    stopped,
    start,
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

function printable(_: string, value: unknown): unknown {
  if (typeof value === "bigint") return Number(value);
  return value instanceof Error ? `${value.name}: ${value.message}` : value;
}
