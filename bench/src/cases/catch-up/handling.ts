import { type Consumer, defineConsumer } from "@pup/core";
import type { PgTransaction } from "@pup/store-pg";
import type { TransactionSql } from "postgres";
import { type OrderEvent, upsertAtOnce, upsertEach, upsertOne, upsertPipelined } from "../../workload/order-totals.ts";
import { EVENTS_PER_ORDER, type OrderPayload } from "../../workload/orders.ts";

/** Sends one statement, with node-postgres. */
export type Query = (text: string, values: readonly unknown[]) => Promise<unknown>;

/** The same work with every event, as each system wants it written. */
export interface Handling {
  /** Whether it writes the read model. */
  readonly writes: boolean;
  /** Makes pup's consumer. It tells how many events it has handled. */
  readonly consumer: (name: string, onHandled: (events: number) => void) => Consumer<PgTransaction>;
  /** A batch, in a transaction of postgres.js. */
  readonly batch: (tx: TransactionSql, events: readonly OrderEvent[]) => Promise<void>;
  /** One event or job of a peer. */
  readonly one: (payload: OrderPayload, query: Query) => unknown;
}

const upsertText = `
  INSERT INTO order_totals AS total (order_id, events, cents) VALUES ($1, 1, $2)
  ON CONFLICT (order_id) DO UPDATE SET events = total.events + 1, cents = total.cents + excluded.cents`;

function upsertWithQuery({ number, cents }: OrderPayload, query: Query) {
  return query(upsertText, [`order-${Math.floor(number / EVENTS_PER_ORDER)}`, cents]);
}

/** Does nothing. */
export const nothing: Handling = {
  writes: false,
  consumer: (name, onHandled) =>
    defineConsumer<PgTransaction>({
      name,
      handle() {
        onHandled(1);
      },
    }),
  batch: async () => undefined,
  one: () => undefined,
};

/** Writes one row for each event, and waits for it. */
export const oneByOne: Handling = {
  writes: true,
  consumer: (name, onHandled) =>
    defineConsumer<PgTransaction>({
      name,
      async handle(event, { tx }) {
        await upsertOne(tx.sql, event);
        onHandled(1);
      },
    }),
  batch: upsertEach,
  one: upsertWithQuery,
};

/** Writes one row for each event, and waits for a batch of them. */
export const pipelined: Handling = { ...oneByOne, ...inBatches(upsertPipelined) };

/** Writes the rows of a batch with one statement. */
export const atOnce: Handling = { ...oneByOne, ...inBatches(upsertAtOnce) };

function inBatches(write: Handling["batch"]): Pick<Handling, "consumer" | "batch"> {
  return {
    consumer: (name, onHandled) =>
      defineConsumer<PgTransaction>({
        name,
        async handleBatch(events, { tx }) {
          await write(tx.sql, events);
          onHandled(events.length);
        },
      }),
    batch: write,
  };
}
