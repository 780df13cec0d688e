import { DemoFailure } from "../demo-failure.ts";
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

/** What a worker process reports. */
export type WorkerReport =
  /** It runs. */
  | { readonly kind: "started"; readonly workerId: string }
  /** Events that its consumers have handled since the last report. */
  | { readonly kind: "handled"; readonly counts: Readonly<Record<string, number>> }
  /** One of its consumers has failed too often, and stays where it is. */
  | { readonly kind: "failed"; readonly consumer: string; readonly reason: string };

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
          switch (report.kind) {
            case "started":
              workerId = report.workerId;
              return started(worker);
            case "handled":
              for (const [consumer, count] of Object.entries(report.counts)) handledBy(consumer).add(count);
              return;
            case "failed":
              return options.onCrash(new DemoFailure(`${report.consumer} failed too often: ${report.reason}`));
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
