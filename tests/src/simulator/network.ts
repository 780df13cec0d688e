import { type BatchRunner, type ControlSession, sleep, type WorkerStore } from "@pup/core";
import type { MemoryStore, MemoryTransaction } from "@pup/testing";
import type { Chance } from "./chance.ts";
import { LostConnectionError } from "./lost-connection-error.ts";
import type { Scenario } from "./scenario.ts";
import type { CuttableSession, Server } from "./server.ts";
import type { SimulatedProcess } from "./simulated-process.ts";
import type { Tally } from "./tally.ts";
import type { Trace } from "./trace.ts";
import type { Weather } from "./weather.ts";

/** What lies between a process and the server. */
export interface NetworkOptions {
  readonly process: SimulatedProcess;
  /** The process's connection. */
  readonly connection: Pick<MemoryStore, "terminate">;
  /** What answers on the other side. */
  readonly server: Server;
  readonly scenario: Scenario;
  readonly weather: Weather;
  readonly chance: Chance;
  readonly trace: Trace;
  readonly tally: Tally;
  /** Called at the moments of a batch at which it matters most that a process dies or stands still: it may make it do so. */
  readonly onBatch: (moment: "before its batch" | "before the commit" | "after the commit") => void;
}

/** The server as a process sees it. */
export interface Network {
  readonly store: WorkerStore<MemoryTransaction>;
  /** Whether an answer of this operation is awaited at the moment. */
  isWaitingFor(operation: string): boolean;
  /** When the last answer of this operation came, by the true time; null when none has. */
  lastAnswerMs(operation: string): number | null;
  /** Cuts the connections that carry batches at the moment. */
  cutBatches(): void;
}

/** What a good network still takes, in milliseconds, and how often. The rest is at once. */
const CALM_MS = 30;
const CALM_RATE = 0.5;

type Act<Result> = () => Promise<Result>;

/** Creates the network of one process: operations are late, get lost before or after they took effect, or meet a process that stands still. */
export function createNetwork(options: NetworkOptions): Network {
  const { process, connection, server, scenario, weather, chance, trace, tally, onBatch } = options;
  const { rates, slowMs } = scenario;
  const waiting = new Map<string, number>();
  const answered = new Map<string, number>();
  const batches = new Set<MemoryTransaction>();

  /** A way through the network; null when it takes no time. */
  function travel(): Promise<void> | null {
    const { isRough } = weather;
    if (!chance.happens(isRough ? rates.slowOperation : CALM_RATE)) return null;
    if (isRough) tally.count("statement or answer comes late");
    return sleep(weather.time, chance.between(0, isRough ? slowMs : CALM_MS));
  }

  const isLost = (rate: number) => weather.isRough && chance.happens(rate);

  /** Sends one statement. `onLost` is told when its connection breaks. */
  async function send<Result>(operation: string, act: Act<Result>, onLost: () => void): Promise<Result> {
    waiting.set(operation, (waiting.get(operation) ?? 0) + 1);
    let isAnswered = false;
    try {
      const outward = travel();
      if (outward) await outward;
      if (isLost(rates.lostRequest)) {
        onLost();
        throw lost(operation, "before it took effect");
      }
      const result = await act();
      if (isLost(rates.lostAnswer)) {
        onLost();
        throw lost(operation, "after it took effect");
      }
      isAnswered = true;
      return result;
    } finally {
      const homeward = travel();
      if (homeward) await homeward;
      const passing = process.pass();
      if (passing) await passing;
      if (isAnswered) answered.set(operation, weather.time.now());
      waiting.set(operation, (waiting.get(operation) ?? 1) - 1);
    }
  }

  function lost(operation: string, when: "before it took effect" | "after it took effect"): LostConnectionError {
    trace.note(process.name, `loses its connection during ${operation}, ${when}`);
    tally.count(`connection is lost during a statement, ${when}`);
    return new LostConnectionError(`The connection was lost during ${operation}.`);
  }

  const query = <Name extends QueryName>(name: Name): WorkerStore<MemoryTransaction>[Name] =>
    // biome-ignore lint/suspicious/noExplicitAny: each method keeps its own signature; only the call is bracketed.
    ((...args: any[]) =>
      send(
        name,
        () => (server[name] as (...given: unknown[]) => Promise<unknown>)(...args),
        () => undefined,
      )) as never;

  const runBatch: BatchRunner<MemoryTransaction>["runBatch"] = async (batch, work) => {
    let began: MemoryTransaction | null = null;
    const workOn: typeof work = async (tx, letters) => {
      began = tx;
      batches.add(tx);
      await process.pass();
      await work(tx, letters);
      onBatch("before the commit");
      await process.pass();
      // The commit is a statement of its own, which can be late or get lost while the effects are there already.
      const outward = travel();
      if (outward) await outward;
      if (isLost(rates.lostRequest)) {
        connection.terminate(tx);
        throw lost("the commit", "before it took effect");
      }
    };
    const act = async () => {
      await server.runBatch(batch, workOn);
      onBatch("after the commit");
    };
    onBatch("before its batch");
    await process.pass();
    try {
      await send("runBatch", act, () => undefined);
    } finally {
      if (began) batches.delete(began);
    }
  };

  async function openControlSession(given?: { readonly signal?: AbortSignal }): Promise<ControlSession> {
    let opened: CuttableSession | undefined;
    const open = async () => {
      opened = await server.openControlSession(given);
      return opened;
    };
    return overNetwork(await send("openControlSession", open, () => opened?.kill()));
  }

  function overNetwork(session: CuttableSession): ControlSession {
    const known = new AbortController();
    const learn = async (reason: unknown) => {
      await process.pass();
      known.abort(reason);
    };
    session.lost.addEventListener("abort", () => void learn(session.lost.reason));
    let broken: LostConnectionError | null = null;
    const call = async <Result>(operation: string, act: Act<Result>) => {
      if (broken) throw broken;
      return send(operation, act, () => {
        broken = new LostConnectionError(`The connection was lost during ${operation}.`);
        session.kill();
        void learn(broken);
      });
    };
    return {
      lost: known.signal,
      election: {
        driver: session.election.driver,
        leaseDurationMs: session.election.leaseDurationMs,
        get leaderMissing() {
          return session.election.leaderMissing;
        },
        tick: () => call("tick", () => session.election.tick()),
        resign: () => call("resign", () => session.election.resign()),
      },
      register: (worker) => call("register", () => session.register(worker)),
      sync: (request) => call("sync", () => session.sync(request)),
      holdLivenessLock: (workerId) => call("holdLivenessLock", () => session.holdLivenessLock(workerId)),
      deregister: (workerId) => call("deregister", () => session.deregister(workerId)),
      observeWorkers: () => call("observeWorkers", () => session.observeWorkers()),
      survey: () => call("survey", () => session.survey()),
      assign: (leadership, plan) => call("assign", () => session.assign(leadership, plan)),
      close: () => session.close(),
    };
  }

  return {
    store: {
      readLog: query("readLog"),
      latestPosition: query("latestPosition"),
      scanPositions: query("scanPositions"),
      inFlightAppenders: query("inFlightAppenders"),
      missingPositions: query("missingPositions"),
      firstPositionSince: query("firstPositionSince"),
      readCheckpoints: query("readCheckpoints"),
      greatestCheckpoint: query("greatestCheckpoint"),
      createCheckpoint: query("createCheckpoint"),
      acquirable: query("acquirable"),
      acquire: query("acquire"),
      advance: query("advance"),
      release: query("release"),
      lookForDeadLetters: query("lookForDeadLetters"),
      nextDueDeadLetter: query("nextDueDeadLetter"),
      checkSchema: query("checkSchema"),
      runBatch,
      openControlSession,
      isTransient: (error) => error instanceof LostConnectionError || server.isTransient(error),
    },
    isWaitingFor: (operation) => (waiting.get(operation) ?? 0) > 0,
    lastAnswerMs: (operation) => answered.get(operation) ?? null,
    cutBatches() {
      for (const tx of batches) connection.terminate(tx);
    },
  };
}

/** Operations that are one statement, and run on whichever connection of the pool is free. */
type QueryName = Exclude<keyof WorkerStore, "runBatch" | "openControlSession" | "isTransient">;
