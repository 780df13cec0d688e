import { type Clock, defineConsumer, type RecordedEvent, type WorkerStore } from "@pup/core";
import { createMemoryDispatcher, createSeededRandomness, type MemoryTransaction, recordEvents } from "@pup/testing";
import { describe, expect, it } from "vitest";
import { createFleet, orderPlaced, type SingleEventConsumer } from "../test/fleet.ts";
import { createWorker } from "./create-worker.ts";
import type { WorkerOptions } from "./options.ts";

type Consumers = WorkerOptions<MemoryTransaction>["consumers"];

/** A fleet whose log holds some events, and workers of which it is counted what they read. */
async function fleetBehind(events: number) {
  const fleet = createFleet();
  await fleet.store.append(Array.from({ length: events }, () => orderPlaced("o-1")));
  const counts = { rows: 0, reads: 0, operations: 0 };

  /** Starts a worker that reads through `around`. */
  function start(
    consumers: Consumers,
    around: (readLog: WorkerStore["readLog"]) => WorkerStore["readLog"] = (readLog) => readLog,
    aroundScan: (scan: WorkerStore["scanPositions"]) => WorkerStore["scanPositions"] = (scan) => scan,
  ) {
    const connection = fleet.store.connect({
      beforeOperation: () => {
        counts.operations += 1;
      },
    });
    const readLog: WorkerStore["readLog"] = async (request) => {
      counts.reads += 1;
      const page = await connection.readLog(request);
      counts.rows += page.positions.length;
      return page;
    };
    const worker = createWorker({
      store: { ...connection, readLog: around(readLog), scanPositions: aroundScan(connection.scanPositions) },
      dispatcher: createMemoryDispatcher(connection),
      consumers,
      clock: fleet.clock,
      random: createSeededRandomness(7),
    });
    const recorded = recordEvents(worker.events);
    void worker.start();
    return { worker, recorded, sizes: () => recorded.of("batch:committed").map(({ events: size }) => size) };
  }

  const all = Array.from({ length: events }, (_, index) => BigInt(index + 1));
  return { ...fleet, counts, start, all };
}

/** A consumer that keeps a list of the positions that it was given. */
function lister(name: string, more: Partial<SingleEventConsumer> = {}) {
  const seen: bigint[] = [];
  const consumer = defineConsumer<MemoryTransaction>({
    name,
    handle: ({ globalPosition }) => seen.push(globalPosition),
    ...more,
  });
  return { consumer, seen };
}

const afterMs = (clock: Clock, delayMs: number) => new Promise<void>((resolve) => clock.after(delayMs, resolve));

// Work for the processor: on a busy machine it takes a multiple.
describe("Consumers that catch up", { timeout: 30_000 }, () => {
  it("share what is read: eight of them read the log once", async () => {
    const { clock, counts, start, all } = await fleetBehind(3_000);
    const eight = ["a", "b", "c", "d", "e", "f", "g", "h"].map((name) => lister(name));
    const { worker } = start(eight.map(({ consumer }) => consumer));
    await clock.advance(10_000);

    for (const { seen } of eight) expect(seen).toEqual(all);
    // The last page may have been asked for before everything was known to be settled.
    expect(counts.rows).toBeLessThanOrEqual(1.1 * 3_000);
    await clock.runUntil(worker.stop());
  });

  it("share it at different speeds too", async () => {
    const { clock, counts, start, all } = await fleetBehind(3_000);
    const four = [0, 100, 200, 300].map((batchPauseMs) => lister(`pauses ${batchPauseMs} ms`, { batchPauseMs }));
    const { worker } = start(four.map(({ consumer }) => consumer));
    await clock.advance(30_000);

    for (const { seen } of four) expect(seen).toEqual(all);
    expect(counts.rows).toBeLessThanOrEqual(1.1 * 3_000);
    await clock.runUntil(worker.stop());
  });

  it("have the next page read while they handle one", async () => {
    const { clock, counts, start } = await fleetBehind(2_500);
    let release = () => {};
    const released = new Promise<void>((resolve) => {
      release = resolve;
    });
    const { worker } = start([
      defineConsumer<MemoryTransaction>({ name: "orders", batchSize: 1_000, handleBatch: () => released }),
    ]);
    await clock.advance(2_000);

    expect(counts.rows).toBe(2_000);
    release();
    await clock.runUntil(worker.stop());
  });

  it("get larger batches while they are quick, smaller ones at once when slow, and the smallest after a failure", async () => {
    const { clock, store, start } = await fleetBehind(5_000);
    let isBroken = true;
    const handle = async ({ globalPosition }: RecordedEvent) => {
      if (globalPosition === 4_000n && isBroken) {
        isBroken = false;
        throw new Error("Broken once.");
      }
      if (globalPosition > 2_500n) await afterMs(clock, 0.5);
    };
    const { worker, sizes } = start([lister("orders", { handle }).consumer]);
    await clock.advance(10_000);

    expect(sizes().slice(0, 5)).toEqual([100, 200, 400, 800, 1_000]);
    // 500 ms is five times as long as it should take; then the fourth batch fails at its hundredth event.
    expect(sizes().slice(5, 12)).toEqual([1_000, 200, 200, 99, 1, 100, 200]);
    expect((await store.readCheckpoints(["orders"]))[0]?.position).toBe(5_000n);
    await clock.runUntil(worker.stop());
  });

  it("have batches of the size that was asked for, where one was", async () => {
    const { clock, start } = await fleetBehind(1_000);
    const { worker, sizes } = start([lister("orders", { batchSize: 300 }).consumer]);
    await clock.advance(5_000);

    expect(sizes()).toEqual([300, 300, 300, 100]);
    await clock.runUntil(worker.stop());
  });

  it("do not read again what a failed batch has taken, but for the event that failed, which may have been mended", async () => {
    const { clock, store, counts, start } = await fleetBehind(300);
    let isMended = false;
    const handledPayloads: unknown[] = [];
    const handle = ({ globalPosition, payload }: RecordedEvent) => {
      if (globalPosition !== 50n) return;
      if (!(payload as { mended?: boolean }).mended) throw new Error("Broken.");
      handledPayloads.push(payload);
    };
    const { worker } = start(
      [lister("orders", { handle, maxConsecutiveFailures: 10 }).consumer],
      (readLog) => async (request) => {
        const page = await readLog(request);
        return isMended ? { ...page, events: async (from, to) => mended(await page.events(from, to)) } : page;
      },
    );
    await clock.advance(1_500);
    isMended = true;
    await clock.advance(10_000);

    expect(handledPayloads).toEqual([{ mended: true }]);
    expect((await store.readCheckpoints(["orders"]))[0]?.position).toBe(300n);
    // The page, and the event by itself a few times.
    expect(counts.rows).toBeLessThanOrEqual(300 + 5);
    await clock.runUntil(worker.stop());
  });

  it("read anew what was read before the server restarted", async () => {
    const { clock, store, counts, start, all } = await fleetBehind(3_000);
    const { consumer, seen } = lister("orders", { batchSize: 100, batchPauseMs: 1_000 });
    const { worker } = start([consumer]);
    await clock.advance(5_000);
    const before = counts.reads;
    store.restart({ crash: true });
    await clock.advance(3_000);

    expect(counts.reads).toBeGreaterThan(before);
    await clock.advance(60_000);
    expect(seen).toEqual(all);
    await clock.runUntil(worker.stop());
  });

  it("are not left with a read under way when their worker has stopped", async () => {
    const { clock, start } = await fleetBehind(2_500);
    let underWay = 0;
    const { worker, recorded } = start(
      [lister("orders", { batchSize: 1_000 }).consumer],
      (readLog) => async (request) => {
        underWay += 1;
        const page = await readLog(request);
        if (request.after > 0n) await afterMs(clock, 2_000);
        underWay -= 1;
        return page;
      },
    );
    await clock.runUntil(recorded.next("batch:committed"));
    expect(underWay).toBe(1);
    await clock.runUntil(worker.stop());

    expect(underWay).toBe(0);
  });
});

describe("Consumers at the head of the log", { timeout: 30_000 }, () => {
  it("get what arrives out of the look at the log that finds it, whatever their scopes", async () => {
    const { clock, store, counts, start } = await fleetBehind(5);
    const all = lister("all");
    const paid = lister("paid", { eventTypes: ["Paid"] });
    const invoices = lister("invoices", { aggregateTypes: ["Invoice"] });
    const { worker } = start([all.consumer, paid.consumer, invoices.consumer]);
    await clock.advance(5_000);
    const before = counts.reads;

    await store.append([orderPlaced("o-2", { type: "Paid" })]);
    await clock.advance(100);
    await store.append([
      orderPlaced("i-1", { aggregateType: "Invoice" }),
      orderPlaced("i-1", { aggregateType: "Invoice" }),
    ]);
    await clock.advance(2_000);

    expect(all.seen).toEqual([1n, 2n, 3n, 4n, 5n, 6n, 7n, 8n]);
    expect(paid.seen).toEqual([6n]);
    expect(invoices.seen).toEqual([7n, 8n]);
    expect(counts.reads).toBe(before);
    const checkpoints = await store.readCheckpoints(["all", "paid", "invoices"]);
    expect(checkpoints.map(({ position }) => position)).toEqual([8n, 8n, 8n]);
    await clock.runUntil(worker.stop());
  });

  it("get nothing that way from behind an append that is open, and nothing is left out afterwards", async () => {
    const { clock, store, start } = await fleetBehind(2);
    const { consumer, seen } = lister("all");
    const { worker } = start([consumer]);
    await clock.advance(5_000);

    const open = await store.begin();
    await store.append([orderPlaced("o-2"), orderPlaced("o-2")], { tx: open.tx });
    await store.append([orderPlaced("o-3")]);
    await clock.advance(1_000);
    expect(seen).toEqual([1n, 2n]);
    await open.commit();
    await store.append([orderPlaced("o-4")]);
    await clock.advance(1_000);

    expect(seen).toEqual([1n, 2n, 3n, 4n, 5n, 6n]);
    await clock.runUntil(worker.stop());
  });

  it("are served alike by stores that bring nothing along", async () => {
    const { clock, store, start } = await fleetBehind(2);
    const { consumer, seen } = lister("all");
    const { worker } = start([consumer], undefined, (scanPositions) => (after) => scanPositions(after));
    await clock.advance(5_000);
    await store.append([orderPlaced("o-2")]);
    await clock.advance(1_000);

    expect(seen).toEqual([1n, 2n, 3n]);
    await clock.runUntil(worker.stop());
  });

  it("ask no more at rest when they are a hundred than when there is one", async () => {
    const askedAtRest = async (count: number) => {
      const { clock, counts, start } = await fleetBehind(10);
      const { worker } = start(Array.from({ length: count }, (_, index) => lister(`c-${index}`).consumer));
      await clock.advance(60_000);
      counts.operations = 0;
      await clock.advance(60_000);
      const asked = counts.operations;
      await clock.runUntil(worker.stop());
      return asked;
    };

    expect(await askedAtRest(100)).toBeLessThanOrEqual(1.2 * (await askedAtRest(1)));
  });
});

function mended(events: readonly RecordedEvent[]): RecordedEvent[] {
  return events.map((event) => (event.globalPosition === 50n ? { ...event, payload: { mended: true } } : event));
}
