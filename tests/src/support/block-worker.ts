import { setTimeout as sleep } from "node:timers/promises";
import { type LabWorker, type LabWorkerConfig, startLabWorker } from "./lab-worker.ts";
import type { Parts } from "./open-parts.ts";
import { compareTrail, createTrail, type TrailReport } from "./trail.ts";

/** Which worker is blocked, for how long, and how quick the fleet is. */
export interface BlockOptions {
  readonly role: "leader" | "follower";
  /** How long its event loop stands still, in milliseconds; once for each, in one fleet. */
  readonly blocksMs: readonly number[];
  /** Times of the workers. @defaultValue those of production */
  readonly options?: LabWorkerConfig["options"];
}

/** What became of one block. */
export interface BlockReport {
  readonly role: BlockOptions["role"];
  readonly blockedMs: number;
  /** Every consumer has the owner and the epoch that it had before. */
  readonly kept: boolean;
  /** The worker had been struck off, and came back by itself. */
  readonly rejoined: boolean;
  /** The worker lost its line to the others, and opened it again. */
  readonly reconnected: boolean;
  /** By consumer. */
  readonly trails: readonly TrailReport[];
}

const consumers = ["orders", "invoices"];
const APPEND_EVERY_MS = 20;

/** Blocks one of two worker processes while events are appended all the time, and says what became of it. */
export async function blockWorker(
  parts: Parts,
  { role, blocksMs, options }: BlockOptions,
): Promise<readonly BlockReport[]> {
  await createTrail(parts.sql);
  const config = { url: parts.url, consumers, ...(options && { options }) };
  const workers = await Promise.all([startLabWorker(config), startLabWorker(config)]);
  try {
    const reports: BlockReport[] = [];
    for (const blockMs of blocksMs) {
      await untilShared(parts, workers);
      const victim = workers.find(({ leads }) => leads === (role === "leader")) as LabWorker;
      reports.push({ role, ...(await blockOnce(parts, victim, blockMs)) });
    }
    return reports;
  } finally {
    await Promise.all(workers.map((worker) => worker.stop()));
  }
}

async function blockOnce(parts: Parts, victim: LabWorker, blockMs: number): Promise<Omit<BlockReport, "role">> {
  const before = await ownership(parts);
  victim.recorded.clear();
  const writing = new AbortController();
  const written = write(parts, writing.signal);
  const startedAt = performance.now();
  await victim.block(blockMs);
  const blockedMs = Math.round(performance.now() - startedAt);
  const kept = JSON.stringify(await ownership(parts)) === JSON.stringify(before);
  if (!kept) await victim.recorded.first("worker:rejoined");
  writing.abort();
  await written;
  await untilReached(parts);
  return {
    blockedMs,
    kept: kept && JSON.stringify(await ownership(parts)) === JSON.stringify(before),
    rejoined: victim.recorded.of("worker:rejoined").length > 0,
    reconnected: victim.recorded.of("worker:disconnected").length > 0,
    trails: await Promise.all(consumers.map((consumer) => compareTrail(parts.sql, consumer))),
  };
}

async function write({ store }: Parts, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    const aggregateId = crypto.randomUUID();
    await store.append([{ aggregateType: "Order", aggregateId, type: "Placed", payload: {} }]);
    await sleep(APPEND_EVERY_MS);
  }
}

async function ownership({ store }: Parts) {
  const checkpoints = await store.readCheckpoints(consumers);
  return checkpoints
    .map(({ consumer, ownerId, epoch }) => ({ consumer, ownerId, epoch }))
    .sort((a, b) => (a.consumer < b.consumer ? -1 : 1));
}

async function untilShared(parts: Parts, workers: readonly LabWorker[]): Promise<void> {
  for (;;) {
    const owners = new Set((await ownership(parts)).map(({ ownerId }) => ownerId));
    if (workers.every(({ workerId }) => owners.has(workerId)) && workers.some(({ leads }) => leads)) return;
    await sleep(50);
  }
}

async function untilReached({ store }: Parts): Promise<void> {
  const head = await store.latestPosition();
  for (;;) {
    const checkpoints = await store.readCheckpoints(consumers);
    if (checkpoints.every(({ position }) => position >= head)) return;
    await sleep(50);
  }
}
