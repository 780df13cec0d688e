import { type Child, type ChildOptions, startChild } from "./child.ts";
import { createRate, type Rate } from "./rate.ts";

/** A worker process of the demo. */
export interface FleetWorker {
  readonly child: Child;
  /** The worker's own id; null until it runs. */
  readonly workerId: string | null;
}

/** The worker processes. */
export interface Fleet {
  /** All that were ever started, in that order. */
  readonly workers: readonly FleetWorker[];
  /** Starts one more. Resolves when it is ready to be given consumers. */
  add(): Promise<FleetWorker>;
  /** Events that a consumer has handled, wherever it ran. */
  handledBy(consumer: string): Pick<Rate, "total" | "perSecond">;
  /** Stops all that still run, in order. */
  stop(): Promise<void>;
  /** Ends all that still run, at once. */
  kill(): Promise<void>;
}

/** What a worker process reports: once who it is, and from then on how many events its consumers have handled. */
type WorkerReport = { readonly workerId: string } | { readonly handled: Readonly<Record<string, number>> };

const program = new URL("../worker/worker-process.ts", import.meta.url);

/** Creates a fleet without workers. */
export function createFleet(options: Pick<ChildOptions, "databaseUrl" | "dispatcher" | "onCrash">): Fleet {
  const workers: FleetWorker[] = [];
  const rates = new Map<string, Rate>();
  const handledBy = (consumer: string): Rate => {
    const rate = rates.get(consumer) ?? createRate(() => performance.now());
    rates.set(consumer, rate);
    return rate;
  };

  return {
    workers,
    handledBy,
    add: () =>
      new Promise((started) => {
        let workerId: string | null = null;
        const onReport = (report: WorkerReport) => {
          if ("workerId" in report) {
            ({ workerId } = report);
            started(worker);
          } else {
            for (const [consumer, count] of Object.entries(report.handled)) handledBy(consumer).add(count);
          }
        };
        const child = startChild({ ...options, name: `worker ${workers.length + 1}`, program, onReport });
        const worker = {
          child,
          get workerId() {
            return workerId;
          },
        };
        workers.push(worker);
      }),
    async stop() {
      await Promise.all(workers.map(({ child }) => child.stop()));
    },
    async kill() {
      await Promise.all(workers.map(({ child }) => child.kill()));
    },
  };
}
