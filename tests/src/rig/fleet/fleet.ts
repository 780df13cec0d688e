import { startTcpProxy, type TcpProxy } from "@pup/testing/postgres";
import { machineMs } from "../machine-time.ts";
import type { Protection } from "../protections.ts";
import type { WorkerTimings } from "../timings.ts";
import type { ClosedGap } from "../worker/settings.ts";
import { startWorkerProcess, type WorkerProcess } from "./worker-process.ts";

/** A place for a worker: one process after the other sits there. */
export interface Seat {
  readonly name: string;
  readonly dispatcher: "notify" | "poll";
  /** Its line to the server, where that can be disturbed. */
  readonly proxy: TcpProxy | null;
  readonly process: WorkerProcess | null;
}

/** The worker processes. */
export interface Fleet {
  readonly seats: readonly Seat[];
  /** Reasons why processes ended by themselves, or not in order. */
  readonly crashes: readonly string[];
  /** Reasons why consumers have stopped. */
  readonly failures: readonly string[];
  /** How often workers reported what they survive, by what it was. */
  readonly troubles: Readonly<Record<string, number>>;
  /** Worker processes that were ever started. */
  readonly started: number;
  /** Starts a process where none runs. Resolves when it runs. */
  start(seat: Seat, clockSkewMs?: number): Promise<void>;
  /** Stops a process in good order. */
  stop(seat: Seat): Promise<void>;
  /** The seat on which that worker sits; undefined when it is not there any more. */
  bySeatOf(workerId: string | null): Seat | undefined;
  /** Tells that something was done to this seat's process, or its line, just now: what it measures at the moment says nothing. */
  disturbed(seat: Seat): void;
  /** Stops all that run, in order. */
  stopAll(): Promise<void>;
  /** Ends everything at once. */
  close(): Promise<void>;
}

export interface FleetOptions {
  readonly databaseUrl: string;
  readonly timings: WorkerTimings;
  readonly broken: Protection | null;
  /** Time for a process to stop in good order, in milliseconds. */
  readonly stopLimitMs: number;
  /** A process has seen a gap close, and nothing was done to that process meanwhile. */
  readonly onGap: (gap: ClosedGap) => void;
}

type Furnished = { -readonly [Property in keyof Seat]: Seat[Property] } & { disturbedAt: number };

/** Sets the places up, without starting anything. */
export async function createFleet(options: FleetOptions): Promise<Fleet> {
  const { databaseUrl, timings, broken, stopLimitMs, onGap } = options;
  const crashes: string[] = [];
  const failures: string[] = [];
  const troubles: Record<string, number> = {};
  let started = 0;

  const poll = broken === "notify-reconcile" ? "notify" : "poll";
  const furnish = async (number: number, dispatcher: Seat["dispatcher"], behindProxy: boolean): Promise<Furnished> => ({
    name: `worker ${number}`,
    dispatcher,
    proxy: behindProxy ? await startTcpProxy(databaseUrl) : null,
    process: null,
    disturbedAt: 0,
  });
  const seats = await Promise.all([
    furnish(1, "notify", false),
    furnish(2, poll, false),
    furnish(3, "notify", true),
    furnish(4, poll, true),
    furnish(5, "notify", false),
  ]);

  const isRunning = (seat: Seat) => seat.process?.state === "running" || seat.process?.state === "stopping";

  const fleet: Fleet = {
    seats,
    crashes,
    failures,
    troubles,
    get started() {
      return started;
    },
    async start(seat, clockSkewMs = 0) {
      if (isRunning(seat)) return;
      const furnished = seat as Furnished;
      started += 1;
      furnished.process = startWorkerProcess({
        settings: {
          name: seat.name,
          databaseUrl: seat.proxy?.url ?? databaseUrl,
          dispatcher: seat.dispatcher,
          timings,
          broken,
        },
        clockSkewMs,
        onReport(report) {
          if (report.kind === "gap" && furnished.disturbedAt < report.gap.seenAt) onGap(report.gap);
          if (report.kind === "trouble") troubles[report.what] = (troubles[report.what] ?? 0) + 1;
          if (report.kind === "failed") failures.push(`${report.consumer} on ${seat.name}: ${report.reason}`);
        },
        onCrash: (reason) => crashes.push(reason),
      });
      await furnished.process.started;
    },
    async stop(seat) {
      const complaint = await seat.process?.stop(stopLimitMs);
      if (complaint) crashes.push(complaint);
    },
    bySeatOf: (workerId) =>
      workerId === null ? undefined : seats.find((seat) => isRunning(seat) && seat.process?.workerId === workerId),
    disturbed(seat) {
      (seat as Furnished).disturbedAt = machineMs();
    },
    async stopAll() {
      await Promise.all(seats.map((seat) => fleet.stop(seat)));
    },
    async close() {
      await Promise.all(seats.map((seat) => seat.process?.kill()));
      await Promise.all(seats.map((seat) => seat.proxy?.close()));
    },
  };
  return fleet;
}
