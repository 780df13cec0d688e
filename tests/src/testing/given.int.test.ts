import { createWorker } from "@pup/coordinator";
import { defineConsumer, type NewEvent } from "@pup/core";
import { createPgStore, migrate, type PgStore, type PgTransaction } from "@pup/store-pg";
import { createGiven } from "@pup/testing";
import { prepareStores } from "@pup/testing/postgres";
import { afterAll, describe, expect, inject, it } from "vitest";
import "@pup/testing/vitest";

const stores = prepareStores({
  serverUrl: inject("postgresUrl"),
  async prepare(url) {
    await migrate({ connection: url });
    const store = createPgStore({ connection: url });
    await store.transaction(({ sql }) => sql`create table turnover (cents integer not null check (cents > 0))`);
    await store.close();
  },
  openStore: (url) => createPgStore({ connection: url }),
});
afterAll(() => stores.close());

const given = createGiven({ createWorker, open: stores.open });

const placed = (aggregateId: string, cents: number): NewEvent => ({
  aggregateType: "Order",
  aggregateId,
  type: "OrderPlaced",
  payload: { cents },
});

const turnover = defineConsumer<PgTransaction>({
  name: "turnover.v1",
  async handle({ payload }, { tx }) {
    await tx.sql`insert into turnover (cents) values (${(payload as { cents: number }).cents})`;
  },
});

const rows = ({ transaction }: PgStore) =>
  transaction(async ({ sql }) => (await sql`select cents from turnover order by cents`).map(({ cents }) => cents));

describe("given/when/then on PostgreSQL", () => {
  it("shows what the consumer has written, and where it stands", () =>
    given([placed("o-1", 3), placed("o-2", 4)])
      .when(turnover)
      .when([placed("o-1", 5)])
      .then(async ({ store, handled, checkpoint, appended }) => {
        expect(await rows(store)).toEqual([3, 4, 5]);
        expect(handled).toBe(3);
        expect(checkpoint).toBe(3n);
        expect(appended).toEqual([]);
      }));

  it("is stopped by what the database refuses, which takes no real waits", () =>
    given([placed("o-1", 3), placed("o-2", -4)])
      .when(turnover, { retryBackoffMs: 20_000 })
      .thenThrows(async (error, { store, checkpoint, recorded }) => {
        expect(error).toMatchObject({ constraint_name: "turnover_cents_check" });
        expect(await rows(store)).toEqual([3]);
        expect(checkpoint).toBe(1n);
        expect(recorded).toHaveEmitted("consumer:failed", { attempts: 5 });
      }));

  it("leaves dead letters, and handles them again", () =>
    given([placed("o-1", -3), placed("o-2", 4)])
      .when(turnover, { onFailure: "skip" })
      .when(async (store) => {
        expect(await store.listDeadLetters()).toHaveLength(1);
        await store.transaction(({ sql }) => sql`alter table turnover drop constraint turnover_cents_check`);
        await store.retryDeadLetters({ consumer: "turnover.v1" });
      })
      .then(async ({ store, deadLetters }) => {
        expect(deadLetters).toEqual([]);
        expect(await rows(store)).toEqual([-3, 4]);
      }));

  it("delivers again when asked to: effects of the transaction happen once, others twice", async () => {
    const calls: string[] = [];
    const both = defineConsumer<PgTransaction>({
      ...turnover,
      handleBatch: undefined,
      async handle({ aggregateId }, { tx }) {
        calls.push(aggregateId);
        await tx.sql`insert into turnover (cents) values (1)`;
      },
    });

    await given([placed("o-1", 3), placed("o-2", 4)])
      .when(both, { redeliver: true })
      .then(async ({ store }) => expect(await rows(store)).toEqual([1, 1]));

    expect(calls).toEqual(["o-1", "o-2", "o-1", "o-2"]);
  });

  it("closes the store when the test is over, also when it fails", async () => {
    let opened: PgStore | undefined;
    const failing = given([])
      .when(turnover)
      .then(({ store }) => {
        opened = store;
        throw new Error("not what was expected");
      });

    await expect(failing).rejects.toThrow("not what was expected");
    await expect(opened?.latestPosition()).rejects.toMatchObject({ code: "PUP_INVALID_STATE" });
  });
});
