import { type Consumer, type ConsumerSettings, type Dispatcher, isPupError, type WorkerStore } from "@pup/core";
import { describe, expect, it } from "vitest";
import { resolveWorkerOptions, type WorkerOptions, workerDefaults } from "./options.ts";

const store = { runBatch: () => Promise.resolve() } as unknown as WorkerStore;
const dispatcher = { start: () => Promise.resolve() } as unknown as Dispatcher;
const consumer: Consumer = { name: "orders.v1", handle: () => undefined };

function resolve(options: Partial<WorkerOptions> = {}) {
  return resolveWorkerOptions({ store, dispatcher, consumers: [consumer], ...options });
}

function refusal(options: Partial<WorkerOptions>): string {
  try {
    resolve(options);
  } catch (error) {
    if (isPupError(error) && error.code === "PUP_INVALID_OPTION") return error.message;
    throw error;
  }
  return "accepted";
}

/** Numbers for which nothing is as good as anything. */
const mayBeZero = ["batchPauseMs", "readAheadBytes"];

describe("Worker options", () => {
  it("have defaults, also where undefined is given", () => {
    const { consumers, ...options } = resolve({ heartbeatIntervalMs: undefined });

    expect(options).toMatchObject({ heartbeatIntervalMs: 5_000, heartbeatTimeoutMs: 30_000, livenessIntervalMs: 250 });
    expect(consumers.get("orders.v1")?.settings).toEqual({
      batchSize: 100,
      maxBatchSize: 1_000,
      maxBatchBytes: 8_388_608,
      batchPauseMs: 0,
      batchTimeoutMs: 30_000,
      maxConsecutiveFailures: 5,
      retryBackoffMs: 100,
      maxRetryBackoffMs: 30_000,
      onFailure: "stop",
    });
  });

  it("of a consumer win over the worker's, which win over the defaults", () => {
    const { consumers } = resolve({ batchSize: 50, batchTimeoutMs: 1_000, consumers: [{ ...consumer, batchSize: 7 }] });

    expect(consumers.get("orders.v1")?.settings).toMatchObject({
      batchSize: 7,
      batchTimeoutMs: 1_000,
      batchPauseMs: 0,
    });
  });

  it.each([0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 31, "5"].map((value) => [value]))(
    "refuse %s for every number",
    (value) => {
      for (const [name, preset] of Object.entries(workerDefaults)) {
        if (typeof preset !== "number" || (mayBeZero.includes(name) && value === 0)) continue;
        expect(refusal({ [name]: value })).toMatch(`Expected \`${name}\` to be a whole number from`);
      }
    },
  );

  it("allow no pause at all between batches, and nothing to be read ahead", () => {
    for (const name of mayBeZero) expect(refusal({ [name]: 0 })).toBe("accepted");
  });

  it("let batches grow unless their size is given, by whoever gives it", () => {
    const sizesOf = (given: ConsumerSettings, own: ConsumerSettings = {}) => {
      const { consumers } = resolve({ ...given, consumers: [{ ...consumer, ...own }] });
      const { batchSize, maxBatchSize } = consumers.get("orders.v1")?.settings ?? {};
      return [batchSize, maxBatchSize];
    };

    expect(sizesOf({})).toEqual([100, 1_000]);
    expect(sizesOf({ batchSize: 20 })).toEqual([20, 20]);
    expect(sizesOf({ batchSize: 20, maxBatchSize: 500 })).toEqual([20, 500]);
    expect(sizesOf({ maxBatchSize: 500 })).toEqual([100, 500]);
    expect(sizesOf({ maxBatchSize: 500 }, { batchSize: 2_000 })).toEqual([2_000, 2_000]);
    expect(sizesOf({ batchSize: 20 }, { maxBatchSize: 40 })).toEqual([20, 40]);
    expect(refusal({ maxBatchSize: 99 })).toMatch("Expected `maxBatchSize` to be at least `batchSize` (100), got 99.");
  });

  it("want a heartbeat timeout that exceeds the interval", () => {
    expect(refusal({ heartbeatTimeoutMs: 1_000 })).toBe(
      "Expected `heartbeatTimeoutMs` to exceed `heartbeatIntervalMs` (5000), got 1000.",
    );
    expect(refusal({ heartbeatTimeoutMs: 5_000 })).toContain("to exceed");
  });

  it("want longest waits that are not shorter than the first ones", () => {
    expect(refusal({ maxPollIntervalMs: 500 })).toContain(
      "`maxPollIntervalMs` to be at least `pollIntervalMs` (1000), got 500",
    );
    expect(refusal({ consumers: [{ ...consumer, retryBackoffMs: 60_000 }] })).toContain(
      "`orders.v1: maxRetryBackoffMs` to be at least `retryBackoffMs` (60000)",
    );
  });

  it("want at least one consumer, and different names", () => {
    expect(refusal({ consumers: [] })).toContain("a list of at least one consumer");
    expect(refusal({ consumers: [consumer, { ...consumer }] })).toContain('two are called "orders.v1"');
    expect(refusal({ consumers: [{ ...consumer, name: "" }] })).toContain(
      "`consumer.name` to be a text of 1 to 255 bytes",
    );
  });

  it("want a store and a dispatcher", () => {
    expect(refusal({ store: undefined as never })).toContain(
      "Expected `store` to be an object with a method `runBatch`",
    );
    expect(refusal({ dispatcher: {} as never })).toContain(
      "Expected `dispatcher` to be an object with a method `start`",
    );
  });
});
