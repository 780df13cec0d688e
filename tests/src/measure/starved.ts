import { setTimeout as sleep } from "node:timers/promises";
import { defineConsumer } from "@pup/core";
import { createNotifyDispatcher } from "@pup/dispatch-notify";
import type { PgTransaction } from "@pup/store-pg";
import { startPostgres } from "@pup/testing/postgres";
import { openParts, type Parts } from "../support/open-parts.ts";
import type { MeasureOutcome } from "./measures.ts";

/** What came of it: times from an append to the commit of its effect, in milliseconds. */
export interface StarvedReport extends MeasureOutcome {
  readonly command: "measure starved";
  readonly undisturbedP99Ms: number;
  readonly disturbedP99Ms: number;
  readonly promisedP99Ms: number;
  /** Every consumer has the owner and the epoch that it had before. */
  readonly kept: boolean;
}

const EVENTS = 400;
const APPEND_EVERY_MS = 20;
const APPLICATION_CONNECTIONS = 10;
const good = ["orders", "invoices"];
const bad = ["never settles", "slow"];

/** Measures two good consumers without and with two bad ones at work, in one worker at default options. */
export async function measureStarved(): Promise<StarvedReport> {
  await using server = await startPostgres();
  await using parts = await openParts(server.url, { clientMax: APPLICATION_CONNECTIONS });
  const latencies = new Map<string, number>();
  const appendedAt = new Map<string, number>();
  const only = { eventTypes: ["Placed"] };
  const { recorded, worker } = parts.start({
    dispatcher: createNotifyDispatcher({ connection: parts.url }),
    batchTimeoutMs: 600_000,
    shutdownTimeoutMs: 100,
    consumers: [
      ...good.map((name) => defineConsumer<PgTransaction>({ name, ...only, handleBatch: () => undefined })),
      defineConsumer<PgTransaction>({
        name: "never settles",
        eventTypes: ["Bad"],
        handleBatch: () => new Promise(() => undefined),
      }),
      defineConsumer<PgTransaction>({
        name: "slow",
        eventTypes: ["Bad"],
        batchSize: 1,
        handle: (_, { tx }) => tx.sql`select pg_sleep(1)`,
      }),
    ],
  });
  worker.events.on("batch:committed", ({ consumer, position }) => {
    const at = appendedAt.get(String(position));
    if (at !== undefined && good.includes(consumer)) latencies.set(`${consumer} ${position}`, performance.now() - at);
  });
  for (const consumer of [...good, ...bad])
    await recorded.first("consumer:caught-up", (event) => event.consumer === consumer);

  const undisturbedP99Ms = await p99(parts, latencies, appendedAt);
  const before = await ownership(parts);
  const ending = new AbortController();
  for (let count = 0; count < 100; count++) await append(parts, "Bad");
  const application = Promise.all(
    Array.from({ length: APPLICATION_CONNECTIONS }, () => keepBusy(parts, ending.signal)),
  );
  const disturbedP99Ms = await p99(parts, latencies, appendedAt);
  const kept = JSON.stringify(await ownership(parts)) === JSON.stringify(before);
  ending.abort();
  await application;
  const promisedP99Ms = Math.round(2 * undisturbedP99Ms + 50);
  return {
    command: "measure starved",
    undisturbedP99Ms,
    disturbedP99Ms,
    promisedP99Ms,
    kept,
    verdict: kept && disturbedP99Ms <= promisedP99Ms ? "ok" : "failed",
  };
}

async function p99(parts: Parts, latencies: Map<string, number>, appendedAt: Map<string, number>): Promise<number> {
  latencies.clear();
  appendedAt.clear();
  for (let count = 0; count < EVENTS; count++) {
    const startedAt = performance.now();
    appendedAt.set(await append(parts, "Placed"), startedAt);
    await sleep(APPEND_EVERY_MS);
  }
  await sleep(1_000);
  const sorted = [...latencies.values()].sort((a, b) => a - b);
  return Math.round((sorted[Math.floor(sorted.length * 0.99)] ?? Number.NaN) * 10) / 10;
}

/** @returns the event's position */
async function append({ store }: Parts, type: string): Promise<string> {
  const aggregateId = crypto.randomUUID();
  const { events } = await store.append([{ aggregateType: "Order", aggregateId, type, payload: {} }]);
  return String(events[0]?.globalPosition);
}

async function keepBusy({ sql }: Parts, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) await sql`select pg_sleep(0.5)`;
}

async function ownership({ store }: Parts) {
  const checkpoints = await store.readCheckpoints([...good, ...bad]);
  return checkpoints.map(({ consumer, ownerId, epoch }) => `${consumer} ${ownerId} ${epoch}`).sort();
}
