import { createWorker } from "@pup/coordinator";
import { type Dispatcher, defineConsumer } from "@pup/core";
import { createNotifyDispatcher } from "@pup/dispatch-notify";
import { createPollDispatcher } from "@pup/dispatch-poll";
import { createPgStore, migrate } from "@pup/store-pg";
import { openEmmett, startEmmettConsumer } from "../../systems/emmett/emmett.ts";
import { openGraphileQueue, startGraphileRunner } from "../../systems/graphile-worker/graphile-worker.ts";
import { openBoss } from "../../systems/pg-boss/pg-boss.ts";

/** Starts so many consumers on an empty database, and waits until they run. @returns what stops them */
export type StartIdle = (url: string, consumers: number) => Promise<() => Promise<unknown>>;

/** One worker, at default options. */
export function idlePup(kind: "notify" | "poll"): StartIdle {
  return async (url, count) => {
    await migrate({ connection: url });
    const store = createPgStore({ connection: url, notify: kind === "notify" ? {} : undefined });
    const dispatcher: Dispatcher =
      kind === "notify" ? createNotifyDispatcher({ connection: url }) : createPollDispatcher();
    const consumers = Array.from({ length: count }, (_, index) =>
      defineConsumer({ name: `idle-${index}`, handle: () => undefined }),
    );
    const worker = createWorker({ store, dispatcher, consumers });
    const atHead = new Set<string>();
    const { promise: allAtHead, resolve } = Promise.withResolvers<void>();
    worker.events.on("consumer:caught-up", ({ consumer }) => {
      if (atHead.add(consumer).size === count) resolve();
    });
    const running = worker.start();
    await Promise.race([allAtHead, running]);
    return async () => {
      await worker.stop();
      await store.close();
      await running;
    };
  };
}

/** A consumer each. */
export const idleEmmett: StartIdle = async (url, count) => {
  const store = await openEmmett(url, 1);
  const consumers = Array.from({ length: count }, (_, index) =>
    startEmmettConsumer({ url, name: `idle-${index}`, handle: () => undefined }),
  );
  return async () => {
    await Promise.all(consumers.map((consumer) => consumer.stop()));
    await store.close();
  };
};

/** A runner each: what one of them handles, no other must. */
export const idleGraphile: StartIdle = async (url, count) => {
  const queue = await openGraphileQueue(url, 1);
  const runners = await Promise.all(
    Array.from({ length: count }, () => startGraphileRunner({ url, concurrency: 1, handle: async () => undefined })),
  );
  return async () => {
    await Promise.all(runners.map((runner) => runner.stop()));
    await queue.close();
  };
};

/** One instance that works on a queue for each. */
export const idleBoss: StartIdle = async (url, count) => {
  const boss = await openBoss(url, 10);
  for (let index = 0; index < count; index++) await boss.workIdly(`idle-${index}`);
  return boss.close;
};
