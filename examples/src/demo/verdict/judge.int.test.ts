import { createWorker } from "@pup/coordinator";
import { createPollDispatcher } from "@pup/dispatch-poll";
import { createPgStore, type PgStore } from "@pup/store-pg";
import { createDatabase, type TestDatabase } from "@pup/testing/postgres";
import postgres, { type Sql, type TransactionSql } from "postgres";
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { prepareDatabase } from "../prepare-database.ts";
import { shopConsumers } from "../shop/consumers/index.ts";
import { addProduct, type Decision, moveCustomer, moveOrderOn, placeOrder, registerCustomer } from "../shop/decide.ts";
import type { ShopTables } from "../shop/tables.ts";
import { withTrail } from "../worker/with-trail.ts";
import { type Judgement, judge } from "./judge.ts";

let database: TestDatabase;
let store: PgStore<ShopTables>;
let sql: Sql;
const acknowledged = new Set<string>();
const rolledBack = new Set<string>();

/** A day in the shop, handled by all consumers. */
beforeAll(async () => {
  database = await createDatabase(inject("postgresUrl"));
  sql = postgres(database.url, { max: 2, onnotice: () => undefined });
  await prepareDatabase(sql, database.url);
  store = createPgStore<ShopTables>({ connection: database.url });

  const basket = [{ productId: "mug", quantity: 2, priceCents: 900 }];
  await append(addProduct("mug", 900, 50));
  await append(registerCustomer("ada", "Ghent"));
  for (const orderId of ["shipped", "cancelled", "open"]) await append(placeOrder(orderId, "ada", basket));
  await append(placeOrder("refunded", "ada", basket, { paid: true }));
  await goOn("shipped");
  await append(moveCustomer("ada", "Falun"));
  await goOn("shipped");
  await goOn("cancelled", { cancel: true });
  await goOn("refunded", { cancel: true });
  await rollBack(registerCustomer("bob", "Bergen"));

  const worker = createWorker({ store, dispatcher: createPollDispatcher(), consumers: shopConsumers.map(withTrail) });
  await worker.runOnce();
});

afterAll(async () => {
  await store.close();
  await sql.end();
  await database.drop();
});

async function append({ events, expectedVersion }: Decision): Promise<void> {
  for (const { id } of (await store.append(events, { expectedVersion })).events) acknowledged.add(id);
}

async function rollBack({ events, expectedVersion }: Decision): Promise<void> {
  const undone = store.transaction(async (tx) => {
    for (const { id } of (await store.append(events, { expectedVersion, tx })).events) rolledBack.add(id);
    throw new Error("not after all");
  });
  await expect(undone).rejects.toThrow("not after all");
}

async function goOn(orderId: string, { cancel = false } = {}): Promise<void> {
  const stream = await store.readStream({ aggregateType: "Order", aggregateId: orderId });
  await append(moveOrderOn(stream, { cancel, carrier: "Pelican" }) as Decision);
}

/** The judgement on a database in which something has been changed, which is then changed back. */
async function judgeAfter(
  change: (tx: TransactionSql) => Promise<unknown>,
  account = { acknowledged, rolledBack },
): Promise<Judgement> {
  let judgement: Judgement | undefined;
  const undo = new Error("undo");
  await sql
    .begin(async (tx) => {
      await change(tx);
      judgement = await judge(tx, shopConsumers, account);
      throw undo;
    })
    .catch((error) => {
      if (error !== undo) throw error;
    });
  return judgement as Judgement;
}

const allIsWell = { lost: 0, duplicates: 0, outOfOrder: 0, wrongRows: 0, wrongAppends: 0, faults: [] };

describe("The verdict", () => {
  it("is good when everything was handled once and in order", async () => {
    const judgement = await judge(sql, shopConsumers, { acknowledged, rolledBack });
    expect(judgement).toMatchObject({ ...allIsWell, events: acknowledged.size });
    expect(judgement.deliveries).toBeGreaterThan(3 * judgement.events);
  });

  it("notices an event that a consumer never got", async () => {
    const judgement = await judgeAfter(
      (tx) => tx`
      delete from trail where consumer = 'Orders' and position = (select min(position) from trail where consumer = 'Orders')`,
    );
    expect(judgement).toMatchObject({ ...allIsWell, lost: 1, faults: [expect.stringContaining("never reached")] });
  });

  it("notices an event that a consumer got twice", async () => {
    const judgement = await judgeAfter(
      (tx) => tx`
      insert into trail (consumer, epoch, position) select 'Billing', 1, max(position) from trail where consumer = 'Billing'`,
    );
    expect(judgement).toMatchObject({
      ...allIsWell,
      duplicates: 1,
      faults: [expect.stringContaining("more than once")],
    });
  });

  it("notices two events that came the wrong way round", async () => {
    const judgement = await judgeAfter(
      (tx) => tx`
      with two as (select sequence, position from trail where consumer = 'Email' order by sequence limit 2)
      update trail set position = (select sum(position) from two) - trail.position
      from two where trail.consumer = 'Email' and trail.sequence = two.sequence`,
    );
    expect(judgement).toMatchObject({
      ...allIsWell,
      outOfOrder: 1,
      faults: [expect.stringContaining("after a later one")],
    });
  });

  it("notices an event that a consumer should not have got", async () => {
    const judgement = await judgeAfter(
      (tx) => tx`
      insert into trail (consumer, epoch, position) select 'Billing', 1, max(position) + 1000 from trail`,
    );
    expect(judgement).toMatchObject({ ...allIsWell, faults: [expect.stringContaining("should not have got")] });
  });

  it.each([
    "event_counts",
    "invoices",
    "mail_addresses",
    "mail_outbox",
    "stock_levels",
    "orders",
    "shipping_addresses",
    "shipments",
  ])("notices a row that is missing from %s", async (table) => {
    const judgement = await judgeAfter((tx) =>
      tx.unsafe(`delete from ${table} where ctid = (select min(ctid::text)::tid from ${table})`),
    );
    expect(judgement).toMatchObject({
      ...allIsWell,
      wrongRows: 1,
      faults: [`1 rows of ${table} are not what the log says.`],
    });
  });

  it.each([
    "update event_counts set events = events + 1 where event_type = 'OrderPlaced'",
    "update invoices set state = 'void' where order_id = 'refunded'",
    "update stock_levels set reserved = reserved - 2",
    "update orders set version = 3 where order_id = 'cancelled'",
    "update shipments set city = 'Falun' where order_id = 'shipped'",
    "insert into mail_outbox (recipient, subject, caused_by) select recipient, subject, caused_by from mail_outbox limit 1",
  ])("notices one wrong row: %s", async (change) => {
    expect(await judgeAfter((tx) => tx.unsafe(change))).toMatchObject({
      ...allIsWell,
      wrongRows: 1,
      faults: [expect.stringContaining("not what")],
    });
  });

  it("notices an event that nobody handled", async () => {
    const account = { acknowledged: new Set(acknowledged), rolledBack };
    const judgement = await judgeAfter(async (tx) => {
      const { events } = await store.append(registerCustomer("eve", "Évora").events, { tx });
      for (const { id } of events) account.acknowledged.add(id);
    }, account);
    // Analytics, Email and Shipping, and what they have not written: a count, an address and a mail, another address.
    expect(judgement).toMatchObject({ lost: 3, wrongRows: 4, wrongAppends: 0 });
  });

  it("notices an acknowledged event that is gone, a rolled-back one that is there, and one from nowhere", async () => {
    const [undead = "", , ...others] = acknowledged;
    const account = { acknowledged: new Set([...others, "gone"]), rolledBack: new Set([undead]) };
    expect(await judge(sql, shopConsumers, account)).toMatchObject({
      ...allIsWell,
      wrongAppends: 3,
      faults: [/not in the log/, /were rolled back/, /appended by nobody/].map((fault) => expect.stringMatching(fault)),
    });
  });

  it("is not good when there was nothing to handle", async () => {
    const { faults } = await judgeAfter((tx) => tx`truncate events, trail`);
    expect(faults).toContain("There is no event in the log: nothing was shown.");
  });
});
