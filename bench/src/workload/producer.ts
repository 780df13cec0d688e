import { once } from "node:events";
import { Worker } from "node:worker_threads";

export interface ProducerSettings {
  readonly url: string;
  readonly perSecond: number;
  /** How the names of its orders begin. */
  readonly orderPrefix: string;
}

/** An append that was acknowledged. */
export interface Acknowledged {
  /** 1, 2, 3, … */
  readonly number: number;
  /** Milliseconds since 1970, with their fractions: the same clock in all threads. */
  readonly at: number;
}

/** Starts to append at a steady rate, until it is stopped. */
export function startProducer(settings: ProducerSettings) {
  const thread = new Worker(new URL("./producer.thread.ts", import.meta.url), { workerData: settings });
  const acknowledged: Acknowledged[] = [];
  const failed = Promise.withResolvers<never>();
  failed.promise.catch(() => undefined);
  thread.on("message", (message: Acknowledged) => acknowledged.push(message));
  thread.on("error", (error) => failed.reject(error));
  let stopped: Promise<unknown> | undefined;
  return {
    acknowledged,
    /** Rejects when it cannot append. */
    failed: failed.promise,
    async stop(): Promise<void> {
      stopped ??= once(thread, "exit");
      thread.postMessage("stop");
      await stopped;
    },
  };
}
