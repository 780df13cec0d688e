import { createWorker } from "@pup/coordinator";
import { type DetachedConsumer, defineConsumer, type NewEvent } from "@pup/core";
import { createGiven, type MemoryStore, type MemoryTransaction } from "@pup/testing";
import { describe, expect, it, vi } from "vitest";
import "@pup/testing/vitest";

const given = createGiven({ createWorker });

const order = (aggregateId: string, type: string, payload: unknown = {}): NewEvent => ({
  aggregateType: "Order",
  aggregateId,
  type,
  payload,
});
const placed = (id: string, cents = 100) => order(id, "OrderPlaced", { cents });
const shipped = (id: string) => order(id, "OrderShipped");

/** Keeps sums of what was ordered, and takes no negative ones. */
const turnover = defineConsumer<MemoryTransaction>({
  name: "turnover.v1",
  eventTypes: ["OrderPlaced"],
  async handle({ payload }, { tx }) {
    const { cents } = payload as { cents: number };
    if (cents < 0) throw new RangeError(`Expected a price, got ${cents}.`);
    await tx.table<number>("turnover").update("all", (sum = 0) => sum + cents);
  },
});
const sumOf = (store: MemoryStore) => store.table<number>("turnover").get("all");

describe("given(events).when(consumer).then(check)", () => {
  it("shows what the consumer has written, how much it has handled, and where its checkpoint stands", () =>
    given([placed("o-1", 3), shipped("o-1"), placed("o-2", 4), shipped("o-2")])
      .when(turnover)
      .then(({ store, handled, checkpoint, deadLetters }) => {
        expect(sumOf(store)).toBe(7);
        expect(handled).toBe(2);
        expect(checkpoint).toBe(4n);
        expect(deadLetters).toEqual([]);
      }));

  it("gives the outcome to whoever awaits it", async () => {
    const { store } = await given([placed("o-1", 3)]).when(turnover);

    expect(sumOf(store)).toBe(3);
  });

  it("shows events as they come out of the log: with positions, versions, and payloads as JSON", async () => {
    const seen: unknown[] = [];
    const spy = defineConsumer({
      name: "spy",
      handle: ({ globalPosition, aggregateVersion, payload }) => seen.push([globalPosition, aggregateVersion, payload]),
    });

    await given([placed("o-1", 1), placed("o-2", 2), order("o-1", "OrderDated", { at: new Date(0) })]).when(spy);

    expect(seen).toEqual([
      [1n, 1, { cents: 1 }],
      [2n, 1, { cents: 2 }],
      [3n, 2, { at: "1970-01-01T00:00:00.000Z" }],
    ]);
  });

  it("rejects with what the consumer has thrown, when that has stopped it", async () => {
    const test = given([placed("o-1", -1)]).when(turnover);

    await expect(test.then(() => "all is well")).rejects.toThrow(new RangeError("Expected a price, got -1."));
  });

  it("rejects with what the check throws", async () => {
    const test = given([]).when(turnover);

    await expect(
      test.then(() => {
        throw new Error("not what was expected");
      }),
    ).rejects.toThrow("not what was expected");
  });

  it("plays nothing before it is awaited, and once for each time that it is", async () => {
    const handle = vi.fn();
    const test = given([placed("o-1")]).when(defineConsumer({ name: "c", handle }));
    expect(handle).not.toHaveBeenCalled();

    await test;
    await test;

    expect(handle).toHaveBeenCalledTimes(2);
  });

  it("says the same in each run: ids, times, waits", async () => {
    const seen: unknown[] = [];
    const picky = defineConsumer({
      name: "picky",
      handle({ id, createdAt }, { attempt }) {
        seen.push([id, createdAt.toISOString(), attempt]);
        if (attempt < 3) throw new Error("not yet");
      },
    });
    const first = await given([placed("o-1"), placed("o-2")]).when(picky);
    const half = seen.splice(0);
    const second = await given([placed("o-1"), placed("o-2")]).when(picky);

    expect(seen).toEqual(half);
    expect(second.recorded.all).toEqual(first.recorded.all);
    expect(half[0]).toEqual([expect.stringMatching(/^0/), "2000-01-01T00:00:00.000Z", 1]);
  });

  it("hands a consumer that appends the store, and shows what it has appended", async () => {
    const confirm = (store: MemoryStore) =>
      defineConsumer<MemoryTransaction>({
        name: "confirmations.v1",
        eventTypes: ["OrderPlaced"],
        async handle({ aggregateId, id }, { tx }) {
          const confirmation = { aggregateType: "Mail", aggregateId, type: "ConfirmationQueued", payload: {} };
          await store.append([{ ...confirmation, causationId: id }], { tx });
        },
      });

    const { appended } = await given([placed("o-1")]).when(confirm);

    expect(appended).toMatchObject([{ type: "ConfirmationQueued", aggregateId: "o-1", globalPosition: 2n }]);
  });

  it("runs workers with the caller's options", async () => {
    const small = createGiven({ createWorker: (parts) => createWorker({ ...parts, batchSize: 1 }) });

    const { recorded } = await small([placed("o-1"), placed("o-2")]).when(turnover);

    expect(recorded).toHaveEmittedTimes(2, "batch:committed", { events: 1 });
  });

  it("names a handler that never settles, before the test runner loses its patience", async () => {
    const hasty = createGiven({ createWorker, patienceMs: 20 });
    const stuck = defineConsumer({ name: "stuck", handle: () => new Promise(() => undefined) });

    await expect(hasty([placed("o-1")]).when(stuck)).rejects.toThrow(
      'Expected the handler of consumer "stuck" on the worker to settle, but it has not within `patienceMs` (20) of real time.',
    );
  });

  it("refuses what cannot make workers", () => {
    expect(() => createGiven({ createWorker: undefined as never })).toThrow(
      "Expected `createWorker` to be that of @pup/coordinator, or a function around it, got undefined.",
    );
  });
});

describe("Failures in given/when/then", () => {
  const events = [placed("o-1", 1), placed("o-2", -5), placed("o-2", 2), placed("o-3", 4)];

  it("stop the consumer before the event unless told otherwise; what came before is kept", () =>
    given(events)
      .when(turnover)
      .thenThrows((error, { store, handled, checkpoint, recorded }) => {
        expect(error).toEqual(new RangeError("Expected a price, got -5."));
        expect(sumOf(store)).toBe(1);
        expect(handled).toBe(1);
        expect(checkpoint).toBe(1n);
        expect(recorded).toHaveEmitted("consumer:failed", { attempts: 5 });
      }));

  it("can be skipped", () =>
    given(events)
      .when(turnover, { onFailure: "skip" })
      .then(({ store, handled, checkpoint, deadLetters }) => {
        expect(sumOf(store)).toBe(7);
        expect(handled).toBe(3);
        expect(checkpoint).toBe(4n);
        expect(deadLetters).toMatchObject([
          { position: 2n, parked: false, attempts: 5, failure: { message: "Expected a price, got -5." } },
        ]);
      }));

  it("can park their aggregate", () =>
    given(events)
      .when(turnover, { onFailure: "park", maxConsecutiveFailures: 2 })
      .then(({ store, handled, deadLetters }) => {
        expect(sumOf(store)).toBe(5);
        expect(handled).toBe(2);
        expect(deadLetters).toMatchObject([
          { position: 2n, parked: true, attempts: 2 },
          { position: 3n, parked: true, attempts: 0 },
        ]);
      }));

  it("are tried again with the waits of production, in virtual time", async () => {
    const started = Date.now();
    const { recorded } = await given([placed("o-1", -1)]).when(turnover, {
      onFailure: "skip",
      maxConsecutiveFailures: 9,
      retryBackoffMs: 10_000,
    });

    const waits = recorded.of("batch:failed").map(({ retryInMs }) => retryInMs);
    expect(waits).toHaveLength(8);
    expect(waits.reduce((sum, ms) => sum + ms, 0)).toBeGreaterThan(100_000);
    // A hundred seconds of waiting take none. Room for a busy machine.
    expect(Date.now() - started).toBeLessThan(30_000);
  });

  it("leave nothing of the attempt behind", async () => {
    const halfDone = defineConsumer<MemoryTransaction>({
      name: "half-done",
      async handle(event, { tx, attempt }) {
        await tx.table<number>("tries").update(event.aggregateId, (sum = 0) => sum + 1);
        if (attempt === 1) throw new Error("after the write");
      },
    });

    const { store } = await given([placed("o-1")]).when(halfDone);

    expect(store.table("tries").get("o-1")).toBe(1);
  });

  it("that do not come are missed by thenThrows, which says what happened instead", async () => {
    const test = given(events).when(turnover, { onFailure: "skip" });

    await expect(test.thenThrows()).rejects.toThrow(
      "Expected an error to stop the consumer, but none did. Events it has handled: 3; dead letters: 1; " +
        "last error: RangeError: Expected a price, got -5.",
    );
  });

  it("of the worker itself are not taken for the consumer's", async () => {
    const test = given([placed("o-1")]).when(turnover, { batchSize: -1 });

    await expect(test.thenThrows()).rejects.toMatchObject({ code: "PUP_INVALID_OPTION" });
  });
});

describe("Several steps", () => {
  it("hand the consumer what is new, after a restart as it seems to it", async () => {
    const epochs: number[] = [];
    const spy = defineConsumer({ name: "spy", handle: (_, { epoch }) => epochs.push(epoch) });

    const { handled, checkpoint } = await given([placed("o-1")])
      .when(spy)
      .when([placed("o-2"), placed("o-3")])
      .when([]);

    expect(epochs).toEqual([1, 2, 2]);
    expect(handled).toBe(3);
    expect(checkpoint).toBe(3n);
  });

  it("let a consumer begin at the head after what was given", async () => {
    const seen: string[] = [];
    const news = defineConsumer({
      name: "news",
      startFrom: "head",
      handle: ({ aggregateId }) => seen.push(aggregateId),
    });

    await given([placed("o-1")])
      .when(news)
      .when([placed("o-2")]);

    expect(seen).toEqual(["o-2"]);
  });

  it("have dead letters handled again", async () => {
    let broken = true;
    const moody = defineConsumer<MemoryTransaction>({
      name: "moody",
      onFailure: "park",
      async handle({ aggregateId, type }, { tx }) {
        if (broken) throw new Error("Not today.");
        await tx.table<string[]>("seen").update(aggregateId, (seen = []) => [...seen, type]);
      },
    });

    const { store, deadLetters } = await given([placed("o-1"), shipped("o-1")])
      .when(moody)
      .when(async (letters) => {
        broken = false;
        expect(await letters.retryDeadLetters({ consumer: "moody" })).toBe(1);
      });

    expect(deadLetters).toEqual([]);
    expect(store.table("seen").get("o-1")).toEqual(["OrderPlaced", "OrderShipped"]);
  });

  it("try a stopped consumer again", () => {
    let broken = true;
    const moody = defineConsumer({
      name: "moody",
      handle() {
        if (broken) throw new Error("Not today.");
      },
    });

    return given([placed("o-1")])
      .when(moody)
      .when(() => {
        broken = false;
      })
      .then(({ handled }) => expect(handled).toBe(1));
  });
});

describe("A redelivery", () => {
  const mailer = (sent: string[], settings: Partial<DetachedConsumer> = {}) =>
    defineConsumer({
      name: "mailer",
      transaction: "none",
      handle: ({ aggregateId }: { aggregateId: string }) => sent.push(aggregateId),
      ...settings,
    } as DetachedConsumer);

  it("brings the same events to a consumer with outside effects again", async () => {
    const sent: string[] = [];

    const { handled, checkpoint } = await given([placed("o-1"), placed("o-2"), shipped("o-1")]).when(
      mailer(sent, { eventTypes: ["OrderPlaced"] }),
      { redeliver: true },
    );

    expect(sent).toEqual(["o-1", "o-2", "o-1", "o-2"]);
    expect(handled).toBe(2);
    expect(checkpoint).toBe(3n);
  });

  it("loses no step over events that the consumer does not want", async () => {
    const { checkpoint } = await given([placed("o-1")])
      .when(turnover)
      .when([shipped("o-1")], { redeliver: true });

    expect(checkpoint).toBe(2n);
  });

  it("comes for every batch", async () => {
    const sent: string[] = [];

    await given(["o-1", "o-2", "o-3"].map((id) => placed(id))).when(mailer(sent), { redeliver: true, batchSize: 2 });

    expect(sent).toEqual(["o-1", "o-2", "o-1", "o-2", "o-3", "o-3"]);
  });

  it("undoes what was written through the transaction: effects there happen once", async () => {
    const calls: string[] = [];
    const counter = defineConsumer<MemoryTransaction>({
      name: "counter",
      async handleBatch(events, { tx }) {
        calls.push(events.map(({ aggregateId }) => aggregateId).join());
        await tx.table<number>("count").update("all", (count = 0) => count + events.length);
      },
    });

    const { store, recorded } = await given([placed("o-1"), placed("o-2")]).when(counter, { redeliver: true });

    expect(calls).toEqual(["o-1,o-2", "o-1,o-2"]);
    expect(store.table("count").get("all")).toBe(2);
    expect(recorded).toHaveEmittedTimes(1, "batch:failed", { transient: true });
    expect(recorded).toHaveEmittedTimes(1, "batch:committed");
  });

  it("is no failure of the event's", async () => {
    const sent: string[] = [];

    const { deadLetters } = await given([placed("o-1")]).when(mailer(sent, { maxConsecutiveFailures: 1 }), {
      redeliver: true,
    });

    expect(deadLetters).toEqual([]);
    expect(sent).toHaveLength(2);
  });
});

describe("A consumer under test", () => {
  it("gets whole batches in handleBatch", async () => {
    const sizes: number[] = [];
    const batches = defineConsumer({
      name: "batches",
      batchSize: 2,
      handleBatch: (events) => sizes.push(events.length),
    });

    await given(["o-1", "o-2", "o-3"].map((id) => placed(id))).when(batches);

    expect(sizes).toEqual([2, 1]);
  });

  it("that wants no transaction gets none", async () => {
    const contexts: object[] = [];

    await given([placed("o-1")]).when(
      defineConsumer({ name: "detached", transaction: "none", handle: (_, context) => contexts.push(context) }),
    );

    expect(contexts[0]).not.toHaveProperty("tx");
    expect(contexts[0]).toMatchObject({ consumer: "detached", attempt: 1, epoch: 1 });
  });

  it("may be an instance of a class, with fields of its own", async () => {
    class Counter {
      readonly name = "counter";
      #count = 0;
      handle(): void {
        this.#count += 1;
      }
      get count(): number {
        return this.#count;
      }
    }
    const counter = new Counter();

    await given([placed("o-1"), placed("o-2")]).when(counter);

    expect(counter.count).toBe(2);
  });

  it("may take real time: the time for its batch does not run out meanwhile", async () => {
    const slow = defineConsumer<MemoryTransaction>({
      name: "slow",
      batchTimeoutMs: 1,
      async handle({ aggregateId }, { tx }) {
        // Beyond every promise job, and beyond a turn of the event loop.
        await crypto.subtle.digest("SHA-256", new Uint8Array(1_000_000));
        await new Promise((resolve) => setTimeout(resolve, 5));
        await tx.table("done").set(aggregateId, true);
      },
    });

    const { store, recorded } = await given([placed("o-1"), placed("o-2")]).when(slow);

    expect([...store.table("done").keys()]).toEqual(["o-1", "o-2"]);
    expect(recorded).not.toHaveEmitted("batch:failed");
  });
});
