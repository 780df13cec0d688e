import { createWorker } from "@pup/coordinator";
import {
  type Dispatcher,
  defineConsumer,
  type HandlerContext,
  type NewEvent,
  type RecordedEvent,
  sleep,
  type TransactionalContext,
} from "@pup/core";
import { createPollDispatcher } from "@pup/dispatch-poll";
import {
  createHarness,
  createManualClock,
  createManualDispatcher,
  type Harness,
  type HarnessOptions,
  type MemoryTransaction,
} from "@pup/testing";
import { afterEach, describe, expect, it } from "vitest";
import "@pup/testing/vitest";

const placed = (aggregateId: string): NewEvent => ({
  aggregateType: "Order",
  aggregateId,
  type: "OrderPlaced",
  payload: {},
});

/** Lists what it has handled in a table of its transaction. */
const lister = (name: string, settings: object = {}) =>
  defineConsumer<MemoryTransaction>({
    name,
    handle: ({ aggregateId }, { tx }) =>
      tx.table<string[]>("handled").update(name, (handled = []) => [...handled, aggregateId]),
    ...settings,
  });
const handledBy = ({ store }: Harness, name: string) => store.table<string[]>("handled").get(name);

const poison = (settings: object = {}) =>
  lister("picky", {
    async handle({ aggregateId }: { aggregateId: string }, { tx }: { tx: MemoryTransaction }) {
      if (aggregateId === "bad") throw new Error("Poison.");
      await tx.table<string[]>("handled").update("picky", (handled = []) => [...handled, aggregateId]);
    },
    ...settings,
  });

const harnesses: Harness[] = [];
afterEach(async () => {
  for (const harness of harnesses.splice(0)) {
    await harness.close();
    expect(harness.clock.pending).toBe(0);
  }
});

function open(options: Partial<HarnessOptions> = {}): Harness {
  const harness = createHarness({ createWorker, consumers: [lister("orders"), lister("billing")], ...options });
  harnesses.push(harness);
  return harness;
}

describe("A harness", () => {
  it("settles when every event is handled by every consumer", async () => {
    const harness = open({ workers: 3 });
    await harness.append([placed("o-1"), placed("o-1")]);
    await harness.append([placed("o-2")]);

    await harness.settle();

    expect(handledBy(harness, "orders")).toEqual(["o-1", "o-1", "o-2"]);
    expect(handledBy(harness, "billing")).toEqual(["o-1", "o-1", "o-2"]);
  });

  it("settles when consumers are dealt out evenly, without an event, too", async () => {
    const harness = open({
      workers: 2,
      consumers: ["a", "b", "c", "d"].map((name) => lister(name)),
      // Without a word between them, workers take seconds to hear of each other.
      createDispatcher: () => createManualDispatcher(),
    });
    await harness.settle();
    expect(harness.workers.map(({ running }) => running.length)).toEqual([2, 2]);

    harness.start();
    harness.start();
    await harness.settle();

    expect(harness.workers.map(({ running }) => running.length)).toEqual([1, 1, 1, 1]);
  });

  it("waits for workers that are slow to start", async () => {
    const slow = (): Dispatcher => ({ ...createManualDispatcher(), start: ({ clock }) => sleep(clock, 5_000) });
    const harness = open({ workers: 3, createDispatcher: slow });

    await harness.settle();

    expect(harness.recorded).toHaveEmittedTimes(3, "worker:started");
  });

  it("waits for events that consumers append", async () => {
    const harness = open({
      workers: 2,
      consumers: (store) => [
        lister("mails", { aggregateTypes: ["Mail"] }),
        defineConsumer<MemoryTransaction>({
          name: "confirmations",
          aggregateTypes: ["Order"],
          async handle({ aggregateId }, { tx }) {
            await store.append([{ ...placed(`mail for ${aggregateId}`), aggregateType: "Mail" }], { tx });
          },
        }),
      ],
    });
    await harness.append([placed("o-1")]);

    await harness.settle();

    expect(handledBy(harness, "mails")).toEqual(["mail for o-1"]);
  });

  it("waits for attempts that fail at first", async () => {
    const flaky = lister("flaky", {
      async handle({ aggregateId }: { aggregateId: string }, { attempt }: { attempt: number }) {
        if (attempt < 4) throw new Error(`${aggregateId}: not yet`);
      },
      retryBackoffMs: 20_000,
    });
    const harness = open({ consumers: [flaky] });
    await harness.append([placed("o-1")]);

    await harness.settle();

    expect(harness.recorded).toHaveEmittedTimes(3, "batch:failed", { consumer: "flaky" });
    expect(harness.clock.now()).toBeGreaterThan(30_000);
  });

  it("lets a consumer sleep on its clock", async () => {
    const clock = createManualClock();
    const slow = lister("slow", { handle: () => sleep(clock, 10_000) });
    const harness = open({ clock, consumers: [slow] });
    await harness.append([placed("o-1")]);

    await harness.settle();

    expect(clock.now()).toBeGreaterThanOrEqual(10_000);
    expect(harness.recorded).not.toHaveEmitted("batch:failed");
  });

  it("lets a consumer take real time", async () => {
    const slow = lister("slow", {
      batchTimeoutMs: 1,
      handle: () => new Promise((resolve) => setTimeout(resolve, 20)),
    });
    const harness = open({ workers: 2, consumers: [slow, lister("orders")] });
    await harness.append([placed("o-1")]);

    await harness.settle();

    expect(harness.recorded).not.toHaveEmitted("batch:failed");
  });

  it("works with any dispatcher", async () => {
    const harness = open({ workers: 2, createDispatcher: () => createPollDispatcher() });
    await harness.append([placed("o-1")]);

    await harness.settle();

    expect(handledBy(harness, "orders")).toEqual(["o-1"]);
  });

  it("runs the same way each time: ids, times, and everything that workers emit", async () => {
    const live = async () => {
      const harness = open({ workers: 3, consumers: [lister("orders"), poison({ onFailure: "park" })] });
      for (const id of ["o-1", "bad", "o-2"]) await harness.append([placed(id)]);
      await harness.settle();
      harness.workers[0]?.kill();
      await harness.append([placed("o-3")]);
      await harness.settle();
      const page = await harness.store.readLog({ after: 0n, upTo: 4n, limit: 9, maxBytes: 1_000 });
      return { events: await page.events(), emitted: harness.recorded.all, now: harness.clock.now() };
    };

    const first = await live();

    expect(await live()).toEqual(first);
    expect(first.events[0]?.createdAt).toEqual(new Date("2000-01-01T00:00:00.000Z"));
  });

  it("runs otherwise with another seed", async () => {
    const ids = await Promise.all(
      [1, 2].map(async (seed) => (await open({ seed }).append([placed("o-1")])).events[0]?.id),
    );

    expect(ids[0]).not.toBe(ids[1]);
  });
});

describe("A worker of a harness", () => {
  it("is the caller's own kind of worker", async () => {
    await using harness = createHarness({
      createWorker: (parts) => createWorker({ ...parts, sticky: true }),
      consumers: [lister("orders")],
      workers: 2,
    });
    await harness.settle();
    const leader = harness.workers.find(({ worker }) => worker.health().leads);
    leader?.kill();
    const [other] = harness.workers;

    await harness.run(other?.recorded.first("leader:acquired") as Promise<unknown>);

    expect(other?.worker.health().leads).toBe(true);
  });

  it("that stops hands its consumers to the others", async () => {
    const harness = open({ workers: 2 });
    await harness.settle();
    const [first, second] = harness.workers;

    await first?.stop();
    await harness.append([placed("o-1")]);
    await harness.settle();

    expect(harness.workers).toEqual([second]);
    expect(second?.running).toEqual(["billing", "orders"]);
    expect(first?.recorded).toHaveEmitted("worker:stopped");
  });

  it("that is killed in the middle of a batch leaves nothing of it, and others do it again", async () => {
    const clock = createManualClock();
    let mayFinish = false;
    const orders = lister("orders", {
      async handle({ aggregateId }: RecordedEvent, { tx, signal }: TransactionalContext<MemoryTransaction>) {
        await tx.table<string[]>("handled").update("orders", (handled = []) => [...handled, aggregateId]);
        if (!mayFinish) await sleep(clock, 60_000, signal);
      },
      batchTimeoutMs: 600_000,
    });
    const harness = open({ clock, workers: 2, consumers: [orders] });
    await harness.settle();
    await harness.append([placed("o-1")]);
    await harness.advance(1_000);
    const owner = harness.workers.find(({ running }) => running.includes("orders"));

    mayFinish = true;
    owner?.kill();
    await harness.settle();

    // Its session's lock is free and its transaction undone at once: nobody has to wait until it counts as silent.
    expect(clock.now()).toBeLessThan(5_000);
    expect(harness.workers).toHaveLength(1);
    expect(handledBy(harness, "orders")).toEqual(["o-1"]);
    expect(owner?.recorded).not.toHaveEmitted("batch:committed");
    expect(harness.workers[0]?.recorded).toHaveEmitted("batch:committed", { consumer: "orders", epoch: 2 });
  });

  it("that is killed goes on with no event, also where there is no transaction to undo", async () => {
    const clock = createManualClock();
    const sent: string[] = [];
    const mailer = defineConsumer({
      name: "mailer",
      transaction: "none",
      async handle({ aggregateId }) {
        sent.push(aggregateId);
        await sleep(clock, 1_000);
      },
    });
    const harness = open({ clock, workers: 2, consumers: [mailer] });
    await harness.append([placed("o-1")]);
    await harness.append([placed("o-1"), { ...placed("o-1"), type: "OrderShipped" }]);
    await harness.advance(500);
    expect(sent).toHaveLength(1);

    harness.workers.find(({ running }) => running.includes("mailer"))?.kill();
    await harness.settle();

    expect(sent).toHaveLength(1 + 3);
  });

  it("that is killed and then told to stop takes no other with it", async () => {
    const harness = open({ workers: 2 });
    await harness.settle();
    const [first, second] = harness.workers;
    first?.kill();

    void first?.worker.stop();
    await harness.advance(60_000);

    expect(harness.workers).toEqual([second]);
  });

  it("that is killed says no more: it emits nothing, and logs nothing", async () => {
    const lines: string[] = [];
    const log = (_: object, message: string) => lines.push(message);
    const harness = open({ logger: { debug: log, info: log, warn: log, error: log } });
    await harness.settle();
    const [worker] = harness.workers;
    worker?.kill();
    const emitted = worker?.recorded.all.length;
    lines.length = 0;

    await harness.advance(120_000);

    expect(worker?.recorded.all).toHaveLength(emitted ?? 0);
    expect(lines).toEqual([]);
    expect(harness.clock.pending).toBe(0);
    worker?.kill();
    await worker?.stop();
  });

  it("may be of another release, with other consumers", async () => {
    const harness = open({ consumers: [lister("orders")] });
    await harness.append([placed("o-1")]);
    const next = harness.start([lister("orders"), lister("shipping")]);

    await harness.settle();

    expect(next.running).toContain("shipping");
    expect(handledBy(harness, "shipping")).toEqual(["o-1"]);
  });

  it("can be cut off from the others, and comes back", async () => {
    const harness = open({ workers: 2 });
    await harness.settle();
    const [worker] = harness.workers;
    for (const session of worker?.connection.controlSessions ?? []) session.kill();

    await harness.append([placed("o-1")]);
    await harness.run(worker?.recorded.first("worker:disconnected") as Promise<unknown>);
    await harness.settle();

    expect(handledBy(harness, "orders")).toEqual(["o-1"]);
  });
});

describe("Failure policies in a harness", () => {
  it("leave dead letters, which are handled again when they are due", async () => {
    let broken = true;
    const orders = lister("orders", {
      onFailure: "skip",
      handle() {
        if (broken) throw new Error("Not today.");
      },
    });
    const harness = open({ consumers: [orders], createDispatcher: () => createManualDispatcher() });
    await harness.append([placed("o-1")]);
    await harness.settle();
    expect(await harness.store.listDeadLetters()).toMatchObject([{ consumer: "orders", position: 1n, attempts: 5 }]);

    broken = false;
    await harness.run(harness.store.retryDeadLetters({ consumer: "orders" }));
    await harness.settle();

    expect(await harness.store.listDeadLetters()).toEqual([]);
    expect(harness.recorded).toHaveEmitted("dead-letter:resolved", { consumer: "orders", position: 1n });
  });

  it("may stop a consumer: those that are excepted need not get to the head", async () => {
    const harness = open({ workers: 2, consumers: [poison(), lister("orders")] });
    await harness.append([placed("o-1")]);
    await harness.append([placed("bad")]);

    await harness.settle({ except: ["picky"] });
    await harness.run(harness.recorded.first("consumer:failed"));

    expect(handledBy(harness, "orders")).toEqual(["o-1", "bad"]);
    expect(handledBy(harness, "picky")).toEqual(["o-1"]);
  });
});

describe("settle", () => {
  it("says which consumer has stopped, and why", async () => {
    const harness = open({ workers: 2, consumers: [poison(), lister("orders")] });
    await harness.append([placed("bad")]);

    const settled = harness.settle();

    await expect(settled).rejects.toMatchObject({
      message: expect.stringMatching(
        /^Expected everything to settle, but time alone will not change that:\n- Consumer "picky" stands at position 0 of 1: it has stopped on worker-[12], with Error: Poison\.$/,
      ),
      cause: new Error("Poison."),
    });
    expect(handledBy(harness, "orders")).toEqual(["bad"]);
  });

  it("says which transaction holds everything up", async () => {
    const harness = open({ workers: 3, consumers: [lister("orders")] });
    const held = await harness.store.connect({ applicationName: "shop" }).begin();
    await harness.store.append([placed("o-1")], { tx: held.tx });
    await harness.append([placed("o-2")]);

    await expect(harness.settle()).rejects.toThrow(
      'Consumer "orders" stands at position 0 of 2: a transaction of "shop" that has appended is still open, and what comes after its events waits for it.',
    );

    await held.commit();
    await harness.settle();
    expect(handledBy(harness, "orders")).toEqual(["o-1", "o-2"]);
  });

  it("blames no transaction that is in nobody's way", async () => {
    const harness = open({ createDispatcher: () => createManualDispatcher() });
    await harness.settle();
    await harness.append([placed("o-1")]);
    const held = await harness.store.begin();
    await harness.store.append([placed("o-2")], { tx: held.tx });

    await harness.settle();

    expect(handledBy(harness, "orders")).toEqual(["o-1"]);
    await held.rollback();
  });

  it("waits for a transaction that the test ends later", async () => {
    const harness = open();
    const held = await harness.store.begin();
    await harness.store.append([placed("o-1")], { tx: held.tx });
    await harness.append([placed("o-2")]);
    harness.clock.after(20_000, () => void held.commit());

    await harness.settle();

    expect(handledBy(harness, "orders")).toEqual(["o-1", "o-2"]);
  });

  it("says when no worker is left", async () => {
    const harness = open({ consumers: [lister("orders")] });
    harness.workers[0]?.kill();
    await harness.append([placed("o-1")]);

    await expect(harness.settle()).rejects.toThrow(
      'Consumer "orders" stands at position 0 of 1: no worker that is alive has it.',
    );
  });

  it("says when the server is away", async () => {
    const harness = open();
    harness.store.setReachable(false);

    await expect(harness.settle()).rejects.toThrow(
      "- The store does not answer: MemoryConnectionError: The server cannot be reached.",
    );
    harness.store.setReachable(true);
  });

  it("says what failed last when time runs out", async () => {
    const harness = open({ consumers: [poison({ maxConsecutiveFailures: 1_000_000 })] });
    await harness.append([placed("bad")]);

    await expect(harness.settle({ maxMs: 60_000 })).rejects.toThrow(
      [
        "Expected everything to settle, but 60000 ms have passed:",
        '- Consumer "picky" stands at position 0 of 1: its last failure was Error: Poison.',
      ].join("\n"),
    );
  });

  it("says which worker could not start", async () => {
    const harness = open({
      createWorker: (parts) =>
        createWorker({
          ...parts,
          store: { ...parts.store, checkSchema: () => Promise.reject(new Error("No tables.")) },
        }),
    });

    await expect(harness.settle()).rejects.toThrow("- worker-1 could not start: Error: No tables.");
  });

  it("says which handler never settles; advance lets time pass all the same", async () => {
    const stuck = lister("stuck", {
      handle: (_: RecordedEvent, { attempt }: HandlerContext) => (attempt === 1 ? new Promise(() => undefined) : null),
      batchTimeoutMs: 1_000,
    });
    const harness = open({ consumers: [stuck], patienceMs: 20 });
    await harness.append([placed("o-1")]);

    await expect(harness.settle()).rejects.toThrow(
      'Expected the handler of consumer "stuck" on worker-1 to settle, but it has not within `patienceMs` (20) of real time.',
    );

    await harness.advance(1_000);
    expect(harness.recorded).toHaveEmitted("batch:failed", { error: { code: "PUP_BATCH_TIMEOUT" } });
    await harness.settle();
    expect(harness.recorded).toHaveEmitted("batch:committed", { consumer: "stuck" });
  });
});

describe("Closing a harness", () => {
  it("stops its workers, and may come twice", async () => {
    const harness = open({ workers: 2 });
    await harness.settle();

    await Promise.all([harness.close(), harness.close()]);

    expect(harness.workers).toEqual([]);
    expect(harness.recorded).toHaveEmittedTimes(2, "worker:stopped");
    expect(() => harness.start()).toThrow("Expected a harness that is still open, but it was closed.");
  });

  it("gives up handlers that do not end", async () => {
    const stuck = lister("stuck", { handle: () => new Promise(() => undefined) });
    const harness = open({ consumers: [stuck], createDispatcher: () => createManualDispatcher() });
    await harness.append([placed("o-1")]);
    await harness.advance(1_000);

    await harness.close();

    expect(harness.recorded).toHaveEmitted("worker:stopped");
  });

  it("is done by `await using`", async () => {
    let closed: Harness;
    {
      await using harness = createHarness({ createWorker, consumers: [lister("orders")] });
      await harness.settle();
      closed = harness;
    }

    expect(closed.workers).toEqual([]);
    expect(closed.clock.pending).toBe(0);
  });
});
