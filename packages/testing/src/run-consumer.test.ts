import { defineConsumer, type NewEvent } from "@pup/core";
import { describe, expect, it } from "vitest";
import type { MemoryTransaction } from "./memory/memory-transaction.ts";
import { runConsumer } from "./run-consumer.ts";

describe("runConsumer", () => {
  const placed = (aggregateId: string, total = 10): NewEvent => ({
    aggregateType: "Order",
    aggregateId,
    type: "OrderPlaced",
    payload: { total },
  });
  const totals = defineConsumer<MemoryTransaction>({
    name: "totals.v1",
    aggregateTypes: ["Order"],
    batchSize: 2,
    async handle(event, { tx }) {
      const { total } = event.payload as { total: number };
      if (total < 0) throw new Error("negative");
      await tx.table<number>("totals").update("all", (sum = 0) => sum + total);
    },
  });

  it("gives what the consumer has written", async () => {
    const run = await runConsumer(totals, [placed("o-1", 3), placed("o-2", 4), placed("o-1", 5)]);

    expect(run.table("totals")).toEqual(new Map([["all", 12]]));
    expect(run).toMatchObject({ handled: 3, error: undefined });
  });

  it("shows events as they come out of the log: with positions, versions, and payloads as JSON", async () => {
    const seen: unknown[] = [];
    const spy = defineConsumer<MemoryTransaction>({
      name: "spy",
      handle: ({ globalPosition, aggregateVersion, payload }) => seen.push([globalPosition, aggregateVersion, payload]),
    });

    await runConsumer(spy, [placed("o-1"), placed("o-2"), { ...placed("o-1"), payload: { at: new Date(0) } }]);

    expect(seen).toEqual([
      [1n, 1, { total: 10 }],
      [2n, 1, { total: 10 }],
      [3n, 2, { at: "1970-01-01T00:00:00.000Z" }],
    ]);
  });

  it("leaves out what is not in scope", async () => {
    const run = await runConsumer(totals, [placed("o-1"), { ...placed("c-1"), aggregateType: "Cart" }]);

    expect(run.handled).toBe(1);
  });

  it("rolls back the batch that fails, keeps those before, and ends there", async () => {
    const run = await runConsumer(totals, [
      placed("o-1", 1),
      placed("o-2", 2),
      placed("o-3", 4),
      placed("o-4", -1),
      placed("o-5", 8),
    ]);

    expect(run.error).toEqual(new Error("negative"));
    expect(run.table("totals").get("all")).toBe(3);
    expect(run.handled).toBe(2);
  });

  it("tells also when the consumer rejects with nothing", async () => {
    const run = await runConsumer(defineConsumer({ name: "c", handle: () => Promise.reject(undefined) }), [
      placed("o-1"),
    ]);

    expect(run.error).toMatchObject({ code: "PUP_INVALID_STATE" });
  });

  it("hands whole batches to who takes them", async () => {
    const sizes: number[] = [];
    const batches = defineConsumer({ name: "b", batchSize: 2, handleBatch: (events) => sizes.push(events.length) });

    await runConsumer(batches, [placed("o-1"), placed("o-2"), placed("o-3")]);

    expect(sizes).toEqual([2, 1]);
  });

  it("gives a consumer without a transaction none", async () => {
    let context: object = {};
    const mails = defineConsumer({
      name: "mails",
      transaction: "none",
      handle: (_, given) => Object.assign(context, given),
    });
    context = {};

    await runConsumer(mails, [placed("o-1")], { attempt: 3 });

    expect(context).toMatchObject({ consumer: "mails", attempt: 3, epoch: 1 });
    expect(context).not.toHaveProperty("tx");
  });

  it("hands out a transaction of the caller's, for consumers that speak SQL", async () => {
    interface Sql {
      insert(row: unknown): void;
    }
    const rows: unknown[] = [];
    const orders = defineConsumer<Sql>({ name: "orders", handle: ({ aggregateId }, { tx }) => tx.insert(aggregateId) });

    await runConsumer(orders, [placed("o-1")], { tx: { insert: (row) => rows.push(row) } });

    expect(rows).toEqual(["o-1"]);
  });

  it("calls a handler that is a method as one", async () => {
    const counter = {
      name: "counter",
      count: 0,
      handle() {
        this.count += 1;
      },
    };

    await runConsumer(counter, [placed("o-1")]);

    expect(counter.count).toBe(1);
  });

  it("begins after the position that the consumer starts from", async () => {
    const seen: bigint[] = [];
    const late = defineConsumer({
      name: "late",
      startFrom: 1n,
      handle: ({ globalPosition }) => seen.push(globalPosition),
    });

    await runConsumer(late, [placed("o-1"), placed("o-2")]);

    expect(seen).toEqual([2n]);
    await expect(runConsumer({ ...late, startFrom: "head" }, [])).rejects.toMatchObject({ code: "PUP_INVALID_STATE" });
  });
});
