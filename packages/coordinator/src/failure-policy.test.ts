import { type DetachedConsumer, type FailurePolicy, isPupError, type NewEvent, type WorkerStore } from "@pup/core";
import { createManualDispatcher, type MemoryTransaction } from "@pup/testing";
import { describe, expect, it, vi } from "vitest";
import { createFleet, handledBy, noteHandled, orderPlaced, recorder } from "../test/fleet.ts";
import { createWorker } from "./create-worker.ts";
import type { WorkerOptions } from "./options.ts";

type Fleet = ReturnType<typeof createFleet>;

/** Appends all at once, so that they come in one batch: `"o-1:good"` is an event of the aggregate o-1. */
async function appendTogether(fleet: Fleet, ...events: string[]): Promise<void> {
  await fleet.store.transaction(async (tx) => {
    for (const text of events) await fleet.store.append([toEvent(text)], { tx });
  });
}

function toEvent(text: string): NewEvent {
  const [id = "", word] = text.split(":");
  return orderPlaced(id, { payload: { text, word } });
}

const textOf = ({ payload }: { payload: unknown }) => (payload as { text: string }).text;
const isBad = (event: { payload: unknown }) => textOf(event).endsWith(":bad");

/** A consumer that notes every event before it fails at bad ones, as long as `broken` says so. */
function picky(onFailure: FailurePolicy, repair: { broken: boolean } = { broken: true }) {
  return recorder("orders", {
    onFailure,
    handle: async (event, { tx }) => {
      await noteText(tx, event);
      if (repair.broken && isBad(event)) throw new Error("Poison.");
    },
  });
}

async function noteText(tx: MemoryTransaction, event: Parameters<typeof noteHandled>[2]): Promise<void> {
  await noteHandled(tx, "orders", { ...event, aggregateId: textOf(event) });
}

const lettersOf = async (fleet: Fleet) => await fleet.store.listDeadLetters({ consumer: "orders" });
const positionsOf = async (fleet: Fleet) => (await lettersOf(fleet)).map(({ position }) => Number(position));

describe("An event that always fails", () => {
  it("stops its consumer right before it, and what came before in its batch is kept", async () => {
    const fleet = createFleet();
    await appendTogether(fleet, "o-1:a", "o-2:b", "o-3:bad", "o-4:c");
    const worker = fleet.start([picky("stop")]);
    await fleet.clock.advance(60_000);

    expect(handledBy(fleet.store, "orders")).toEqual(["o-1:a", "o-2:b"]);
    expect(worker.recorded.of("consumer:failed")).toMatchObject([{ position: 2n, attempts: 5 }]);
    expect(await lettersOf(fleet)).toEqual([]);
    await fleet.stop(worker);
  });

  it("is found in a batch that is handled at once, too", async () => {
    const fleet = createFleet();
    await appendTogether(fleet, ...Array.from({ length: 40 }, (_, i) => `o-${i}:${i === 27 ? "bad" : "good"}`));
    const worker = fleet.start([
      {
        name: "orders",
        onFailure: "skip",
        async handleBatch(events, { tx }) {
          for (const event of events) await noteText(tx, event);
          if (events.some(isBad)) throw new Error("Poison.");
        },
      },
    ]);
    await fleet.clock.advance(60_000);

    const good = Array.from({ length: 40 }, (_, i) => `o-${i}:good`).filter((text) => text !== "o-27:good");
    expect(handledBy(fleet.store, "orders")).toEqual(good);
    expect(await lettersOf(fleet)).toMatchObject([{ position: 28n, attempts: 5, parked: false }]);
    await fleet.stop(worker);
  });

  it("is skipped where that is the policy: the rest is handled in order, the letter says what it was", async () => {
    const fleet = createFleet();
    await appendTogether(fleet, "o-1:a", "o-2:bad", "o-2:b", "o-3:c");
    const worker = fleet.start([picky("skip"), recorder("others")]);
    await fleet.clock.advance(60_000);

    expect(handledBy(fleet.store, "orders")).toEqual(["o-1:a", "o-2:b", "o-3:c"]);
    const [letter, ...more] = await lettersOf(fleet);
    expect(more).toEqual([]);
    expect(letter).toMatchObject({
      position: 2n,
      aggregateId: "o-2",
      parked: false,
      attempts: 5,
      failure: { message: "Poison.", stack: expect.stringContaining("Error: Poison.") },
      due: false,
    });
    expect(Number(letter?.lastFailedAt)).toBeGreaterThan(Number(letter?.firstFailedAt));
    expect(worker.recorded.of("dead-letter:added")).toMatchObject([
      { consumer: "orders", position: 2n, parked: false, attempts: 5, error: { message: "Poison." } },
    ]);
    expect(worker.recorded.of("consumer:failed")).toEqual([]);
    expect(worker.worker.health()).toMatchObject({ ready: true });
    expect(handledBy(fleet.store, "others")).toHaveLength(4);
    await fleet.stop(worker);
  });

  it("parks its aggregate also when nobody heard that the letter was committed", async () => {
    const fleet = createFleet();
    await appendTogether(fleet, "o-1:bad", "o-2:a");
    const lost = new Error("The answer was lost.");
    let lostAnswers = 0;
    const connection = fleet.store.connect();
    const store: WorkerStore<MemoryTransaction> = {
      ...connection,
      async runBatch(batch, work) {
        await connection.runBatch(batch, work);
        if (batch.to !== 1n) return;
        lostAnswers += 1;
        throw lost;
      },
      isTransient: (error) => error === lost || connection.isTransient(error),
    };
    const worker = fleet.start([picky("park")], { store });
    await fleet.clock.advance(60_000);
    await appendTogether(fleet, "o-1:b", "o-2:c");
    await fleet.clock.advance(1_000);

    expect(lostAnswers).toBe(1);
    expect(handledBy(fleet.store, "orders")).toEqual(["o-2:a", "o-2:c"]);
    expect(await positionsOf(fleet)).toEqual([1, 3]);
    await fleet.stop(worker);
  });

  it("parks its aggregate where that is the policy: what follows of it waits, other aggregates go on", async () => {
    const fleet = createFleet();
    await appendTogether(fleet, "o-1:a", "o-2:bad", "o-2:b", "o-3:c");
    const worker = fleet.start([picky("park")]);
    await fleet.clock.advance(60_000);
    await appendTogether(fleet, "o-2:d", "o-1:e");
    await fleet.clock.advance(1_000);

    expect(handledBy(fleet.store, "orders")).toEqual(["o-1:a", "o-3:c", "o-1:e"]);
    expect(await lettersOf(fleet)).toMatchObject([
      { position: 2n, parked: true, attempts: 5 },
      { position: 3n, parked: true, attempts: 0, failure: null },
      { position: 5n, parked: true, attempts: 0, failure: null },
    ]);
    expect((await fleet.store.readCheckpoints(["orders"]))[0]?.position).toBe(6n);
    expect(worker.recorded.of("dead-letter:queued").map(({ events }) => events)).toEqual([1, 1]);
    await fleet.stop(worker);
  });

  it("stays parked when the consumer moves to another worker, also one with another policy", async () => {
    const fleet = createFleet();
    await appendTogether(fleet, "o-2:bad");
    const before = fleet.start([picky("park")]);
    await fleet.clock.advance(60_000);
    await fleet.stop(before);
    await appendTogether(fleet, "o-2:b", "o-1:a");
    const after = fleet.start([picky("skip")]);
    await fleet.clock.advance(1_000);

    expect(handledBy(fleet.store, "orders")).toEqual(["o-1:a"]);
    expect(await positionsOf(fleet)).toEqual([1, 2]);
    await fleet.stop(after);
  });

  it("costs as many tries as it may, and no time of others once it is given up", async () => {
    const fleet = createFleet();
    const tries = vi.fn();
    const worker = fleet.start([
      recorder("orders", {
        onFailure: "skip",
        maxConsecutiveFailures: 1,
        handle(event) {
          tries(textOf(event));
          if (isBad(event)) throw new Error("Poison.");
        },
      }),
    ]);
    await appendTogether(fleet, "o-1:bad", "o-2:bad", "o-3:good", "o-4:bad");
    await fleet.clock.settle();
    await fleet.clock.advance(1_000);

    expect(tries.mock.calls.flat().filter((text) => text.endsWith(":bad"))).toEqual(["o-1:bad", "o-2:bad", "o-4:bad"]);
    expect(await positionsOf(fleet)).toEqual([1, 2, 4]);
    expect(worker.recorded.of("batch:failed")).toEqual([]);
    await fleet.stop(worker);
  });

  it("becomes no letter by errors of the database, however many", async () => {
    const fleet = createFleet();
    let left = 50;
    const worker = fleet.start([
      recorder("orders", {
        onFailure: "skip",
        handle: async (event, { tx }) => {
          if (left-- > 0) fleet.store.terminate(tx);
          await noteHandled(tx, "orders", event);
        },
      }),
    ]);
    await fleet.append("o-1");
    await fleet.clock.advance(600_000);

    expect(left).toBeLessThan(0);
    expect(handledBy(fleet.store, "orders")).toEqual(["o-1"]);
    expect(await lettersOf(fleet)).toEqual([]);
    await fleet.stop(worker);
  });

  it("that never settles is skipped as well, and takes nothing along", async () => {
    const fleet = createFleet();
    await appendTogether(fleet, "o-1:a", "o-2:bad", "o-3:b");
    const worker = fleet.start([
      recorder("orders", {
        onFailure: "skip",
        batchTimeoutMs: 1_000,
        handle: async (event, { tx }) => {
          await noteText(tx, event);
          if (isBad(event)) await new Promise(() => undefined);
        },
      }),
    ]);
    await fleet.clock.advance(60_000);

    expect(handledBy(fleet.store, "orders")).toEqual(["o-1:a", "o-3:b"]);
    expect(await lettersOf(fleet)).toMatchObject([{ position: 2n, attempts: 5 }]);
    await fleet.stop(worker);
  });
});

describe("A batch that takes longer than it may", () => {
  it("gets through in parts, without any dead letter", async () => {
    const fleet = createFleet();
    await appendTogether(fleet, ...Array.from({ length: 20 }, (_, i) => `o-${i}:good`));
    const worker = fleet.start([
      recorder("orders", {
        batchTimeoutMs: 1_000,
        maxConsecutiveFailures: 2,
        handle: async (event, { tx }) => {
          await new Promise<void>((resolve) => fleet.clock.after(80, resolve));
          await noteText(tx, event);
        },
      }),
    ]);
    await fleet.clock.advance(60_000);

    expect(handledBy(fleet.store, "orders")).toEqual(Array.from({ length: 20 }, (_, i) => `o-${i}:good`));
    expect(worker.recorded.of("consumer:failed")).toEqual([]);
    await fleet.stop(worker);
  });
});

describe("Dead letters that are retried", () => {
  /** o-2 is parked with three letters, after which the handler is repaired. */
  async function parkedThenRepaired(options: Partial<WorkerOptions<MemoryTransaction>> = {}) {
    const fleet = createFleet();
    const repair = { broken: true };
    const worker = fleet.start([picky("park", repair)], options);
    await appendTogether(fleet, "o-2:bad", "o-2:b", "o-1:a", "o-2:c");
    await fleet.clock.advance(60_000);
    expect(await positionsOf(fleet)).toEqual([1, 2, 4]);
    repair.broken = false;
    return { fleet, worker, repair };
  }

  it("are handled in order, once, and their aggregate goes on as before", async () => {
    const { fleet, worker } = await parkedThenRepaired();

    expect(await fleet.store.retryDeadLetters({ consumer: "orders" })).toBe(1);
    await fleet.clock.settle();
    await appendTogether(fleet, "o-2:d");
    await fleet.clock.advance(1_000);

    expect(handledBy(fleet.store, "orders")).toEqual(["o-1:a", "o-2:bad", "o-2:b", "o-2:c", "o-2:d"]);
    expect(await lettersOf(fleet)).toEqual([]);
    expect(worker.recorded.of("dead-letter:resolved").map(({ position }) => position)).toEqual([1n, 2n, 4n]);
    expect((await fleet.store.readCheckpoints(["orders"]))[0]?.position).toBe(5n);
    await fleet.stop(worker);
  });

  it("are handled soon also where nobody tells the worker", async () => {
    const { fleet, worker } = await parkedThenRepaired({ dispatcher: createManualDispatcher() });

    await fleet.store.retryDeadLetters({ consumer: "orders" });
    await fleet.clock.settle();
    expect(await positionsOf(fleet)).toEqual([1, 2, 4]);
    await fleet.clock.advance(1_000);

    expect(await lettersOf(fleet)).toEqual([]);
    await fleet.stop(worker);
  });

  it("that fail again stay, with their aggregate, and stop nobody", async () => {
    const { fleet, worker, repair } = await parkedThenRepaired();
    repair.broken = true;

    await fleet.store.retryDeadLetters({ consumer: "orders" });
    await fleet.clock.advance(60_000);
    await appendTogether(fleet, "o-3:d");
    await fleet.clock.advance(1_000);

    expect(await lettersOf(fleet)).toMatchObject([
      { position: 1n, attempts: 6, due: false },
      { position: 2n, attempts: 0, due: false },
      { position: 4n, attempts: 0, due: false },
    ]);
    expect(worker.recorded.of("dead-letter:failed")).toMatchObject([{ position: 1n, error: { message: "Poison." } }]);
    expect(handledBy(fleet.store, "orders")).toEqual(["o-1:a", "o-3:d"]);
    await fleet.stop(worker);
  });

  it("are tried again after errors of the database, which say nothing about them", async () => {
    const fleet = createFleet();
    const repair = { broken: true };
    let lose = 0;
    const worker = fleet.start([
      recorder("orders", {
        onFailure: "park",
        handle: async (event, { tx }) => {
          if (lose-- > 0) fleet.store.terminate(tx);
          await noteText(tx, event);
          if (repair.broken) throw new Error("Poison.");
        },
      }),
    ]);
    await appendTogether(fleet, "o-2:a");
    await fleet.clock.advance(60_000);
    repair.broken = false;
    lose = 20;

    await fleet.store.retryDeadLetters({ consumer: "orders" });
    await fleet.clock.advance(120_000);

    expect(lose).toBeLessThan(0);
    expect(handledBy(fleet.store, "orders")).toEqual(["o-2:a"]);
    expect(await lettersOf(fleet)).toEqual([]);
    expect(worker.recorded.of("dead-letter:failed")).toEqual([]);
    await fleet.stop(worker);
  });

  it("may be discarded instead: what waits behind goes on by itself", async () => {
    const { fleet, worker, repair } = await parkedThenRepaired();
    repair.broken = true;

    expect(await fleet.store.discardDeadLetters({ consumer: "orders", positions: [1n] })).toBe(1);
    await fleet.clock.advance(1_000);

    expect(handledBy(fleet.store, "orders")).toEqual(["o-1:a", "o-2:b", "o-2:c"]);
    expect(await lettersOf(fleet)).toEqual([]);
    await fleet.stop(worker);
  });

  it("are handled by a single run, too", async () => {
    const { fleet, worker } = await parkedThenRepaired();
    await fleet.stop(worker);
    await fleet.store.retryDeadLetters({ consumer: "orders" });
    const { clock } = fleet;
    const single = createWorker({
      store: fleet.store.connect(),
      dispatcher: createManualDispatcher(),
      consumers: [picky("park", { broken: false })],
      clock,
    });

    await clock.runUntil(single.runOnce());

    expect(await lettersOf(fleet)).toEqual([]);
    expect(handledBy(fleet.store, "orders")).toEqual(["o-1:a", "o-2:bad", "o-2:b", "o-2:c"]);
  });
});

describe("A consumer without a transaction", () => {
  function mailer(onFailure: FailurePolicy, sent: string[], repair = { broken: true }): DetachedConsumer {
    return {
      name: "orders",
      transaction: "none",
      onFailure,
      handle(event) {
        if (repair.broken && isBad(event)) throw new Error("Poison.");
        sent.push(textOf(event));
      },
    };
  }

  it("does not do again what came before the event that fails", async () => {
    const fleet = createFleet();
    const sent: string[] = [];
    await appendTogether(fleet, "o-1:a", "o-2:b", "o-3:bad", "o-4:c");
    const worker = fleet.start([mailer("skip", sent)]);
    await fleet.clock.advance(60_000);

    expect(sent).toEqual(["o-1:a", "o-2:b", "o-4:c"]);
    expect(await lettersOf(fleet)).toMatchObject([{ position: 3n, attempts: 5 }]);
    await fleet.stop(worker);
  });

  it("parks, retries and goes on like the others", async () => {
    const fleet = createFleet();
    const sent: string[] = [];
    const repair = { broken: true };
    await appendTogether(fleet, "o-2:bad", "o-2:b", "o-1:a");
    const worker = fleet.start([mailer("park", sent, repair)]);
    await fleet.clock.advance(60_000);
    expect(sent).toEqual(["o-1:a"]);
    repair.broken = false;
    await fleet.store.retryDeadLetters({ consumer: "orders" });
    await fleet.clock.advance(1_000);
    await appendTogether(fleet, "o-2:c");
    await fleet.clock.advance(1_000);

    expect(sent).toEqual(["o-1:a", "o-2:bad", "o-2:b", "o-2:c"]);
    expect(await lettersOf(fleet)).toEqual([]);
    await fleet.stop(worker);
  });
});

describe("A database that refuses, whatever the event", () => {
  it("stops the consumer after maxConsecutiveFailures, under every policy, and skips nothing", async () => {
    const fleet = createFleet();
    await appendTogether(fleet, "o-1:a");
    const worker = fleet.start([picky("skip")], {}, (operation) => {
      if (operation === "readLog") throw new Error("permission denied for table events");
    });
    await fleet.clock.advance(60_000);

    expect(worker.recorded.of("consumer:failed")).toMatchObject([{ attempts: 5, position: 0n }]);
    expect(worker.recorded.of("consumer:failed").every(({ error }) => !isPupError(error))).toBe(true);
    expect(await lettersOf(fleet)).toEqual([]);
    await fleet.stop(worker);
  });
});
