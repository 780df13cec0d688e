import { describe, expectTypeOf, it } from "vitest";
import {
  type Consumer,
  type DetachedConsumer,
  defineConsumer,
  type HandlerContext,
  type TransactionalConsumer,
} from "./consumer.ts";
import type { RecordedEvent } from "./event.ts";

interface Tx {
  insert(row: object): Promise<void>;
}

describe("defineConsumer", () => {
  it("types the parameters of handle, with the transaction", () => {
    defineConsumer<Tx>({
      name: "orders",
      handle(event, { tx, signal, attempt, epoch }) {
        expectTypeOf(event).toEqualTypeOf<RecordedEvent>();
        expectTypeOf(tx).toEqualTypeOf<Tx>();
        expectTypeOf(signal).toEqualTypeOf<AbortSignal>();
        expectTypeOf(attempt).toEqualTypeOf<number>();
        expectTypeOf(epoch).toEqualTypeOf<number>();
      },
    });
  });

  it("types the parameters of handleBatch, with the transaction", () => {
    defineConsumer<Tx>({
      name: "orders",
      async handleBatch(events, { tx }) {
        expectTypeOf(events).toEqualTypeOf<readonly RecordedEvent[]>();
        await tx.insert({ count: events.length });
      },
    });
  });

  it("gives a consumer without a transaction none", () => {
    defineConsumer<Tx>({
      name: "mails",
      transaction: "none",
      handle(_event, context) {
        expectTypeOf(context).toEqualTypeOf<HandlerContext>();
        // @ts-expect-error: there is no transaction
        context.tx;
      },
    });
  });

  it("refuses both handlers, and none", () => {
    // @ts-expect-error: one of the two
    defineConsumer<Tx>({ name: "orders", handle: () => undefined, handleBatch: () => undefined });
    // @ts-expect-error: one of the two
    defineConsumer<Tx>({ name: "orders" });
  });

  it("refuses what is no setting", () => {
    // @ts-expect-error: misspelt
    defineConsumer<Tx>({ name: "orders", batchsize: 5, handle: () => undefined });
    // @ts-expect-error: a position is a bigint
    defineConsumer<Tx>({ name: "orders", startFrom: 5, handle: () => undefined });
    defineConsumer<Tx>({
      name: "orders",
      handle(event) {
        // @ts-expect-error: events cannot be changed
        event.type = "OrderBurnt";
      },
    });
  });

  it("keeps the kind of consumer", () => {
    const orders = defineConsumer<Tx>({ name: "orders", handle: (_event, { tx }) => tx.insert({}) });
    const mails = defineConsumer({ name: "mails", transaction: "none", handle: () => undefined });

    expectTypeOf(orders).toEqualTypeOf<TransactionalConsumer<Tx>>();
    expectTypeOf(mails).toEqualTypeOf<DetachedConsumer>();
    // A consumer without a transaction fits every worker.
    expectTypeOf(mails).toExtend<Consumer<Tx>>();
  });

  it("makes a consumer that workers of the same transaction take, and others do not", () => {
    const orders = defineConsumer<Tx>({ name: "orders", handle: (_event, { tx }) => tx.insert({}) });

    expectTypeOf(orders).toExtend<Consumer<Tx>>();
    expectTypeOf(orders).not.toExtend<Consumer<{ sql: string }>>();
  });
});
