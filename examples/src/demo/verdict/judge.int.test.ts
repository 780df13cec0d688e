import type { TransactionSql } from "postgres";
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { shopConsumers } from "../shop/consumers/index.ts";
import { addProduct, type Decision, moveCustomer, moveOrderOn, placeOrder, registerCustomer } from "../shop/decide.ts";
import { type Judgement, judge } from "./judge.ts";
import { openTestShop, type TestShop } from "./test-shop.ts";

let shop: TestShop;

/** A day in the shop, handled by all consumers. */
beforeAll(async () => {
  shop = await openTestShop(inject("postgresUrl"));
  const basket = [{ productId: "mug", quantity: 2, priceCents: 900 }];
  await shop.append(addProduct("mug", 900, 50));
  await shop.append(registerCustomer("ada", "Ghent"));
  for (const orderId of ["shipped", "cancelled", "open"]) await shop.append(placeOrder(orderId, "ada", basket));
  await shop.append(placeOrder("refunded", "ada", basket, { paid: true }));
  await goOn("shipped");
  await shop.append(moveCustomer("ada", "Falun"));
  await goOn("shipped");
  await goOn("cancelled", { cancel: true });
  await goOn("refunded", { cancel: true });
  await shop.rollBack(registerCustomer("bob", "Bergen"));
  await shop.handle();
});

afterAll(() => shop.close());

async function goOn(orderId: string, { cancel = false } = {}): Promise<void> {
  const stream = await shop.store.readStream({ aggregateType: "Order", aggregateId: orderId });
  await shop.append(moveOrderOn(stream, { cancel, carrier: "Pelican" }) as Decision);
}

/** The judgement on a database in which something has been changed, which is then changed back. */
async function judgeAfter(
  change: (tx: TransactionSql) => Promise<unknown>,
  account = shop.account,
): Promise<Judgement> {
  let judgement: Judgement | undefined;
  const undo = new Error("undo");
  await shop.sql
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
    const judgement = await judge(shop.sql, shopConsumers, shop.account);
    expect(judgement).toMatchObject({ ...allIsWell, events: shop.account.acknowledged.size });
    expect(judgement.deliveries).toBeGreaterThan(3 * judgement.events);
  });

  it("notices what is lost when open transactions are overlooked", async () => {
    const other = await openTestShop(inject("postgresUrl"));
    try {
      await other.store.transaction(async (tx) => {
        const early = registerCustomer("early", "Ghent");
        const { events } = await other.store.append(early.events, { tx });
        for (const { id } of events) other.account.acknowledged.add(id);
        await other.append(registerCustomer("late", "Falun"));
        const blind = {
          ...other.store,
          inFlightAppenders: async () => ({ ...(await other.store.inFlightAppenders()), appenders: [] }),
        };
        await other.handle(blind);
      });
      await other.handle();

      // The first customer, as Analytics, Email and Shipping never saw it.
      const judgement = await judge(other.sql, shopConsumers, other.account);
      expect(judgement).toMatchObject({ events: 2, lost: 3, duplicates: 0, wrongAppends: 0 });
      expect(judgement.wrongRows).toBeGreaterThan(0);
    } finally {
      await other.close();
    }
  });

  it("notices an event that a consumer never got", async () => {
    const judgement = await judgeAfter(
      (tx) => tx`
      delete from trail where consumer = 'Orders' and position = (select min(position) from trail where consumer = 'Orders')`,
    );
    expect(judgement).toMatchObject({
      ...allIsWell,
      lost: 1,
      faults: [expect.stringContaining("never reached Orders: 1")],
    });
  });

  it("notices an event that a consumer got twice", async () => {
    const judgement = await judgeAfter(
      (tx) => tx`
      insert into trail (consumer, epoch, position) select 'Billing', 1, max(position) from trail where consumer = 'Billing'`,
    );
    expect(judgement).toMatchObject({
      ...allIsWell,
      duplicates: 1,
      faults: [expect.stringContaining("once too often: 1")],
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
    expect(judgement).toMatchObject({ ...allIsWell, faults: [expect.stringContaining("should not have: 1")] });
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
      faults: [`Rows of ${table} that are not what the log says: 1.`],
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
    const account = { ...shop.account, acknowledged: new Set(shop.account.acknowledged) };
    const judgement = await judgeAfter(async (tx) => {
      const { events } = await shop.store.append(registerCustomer("eve", "Évora").events, { tx });
      for (const { id } of events) account.acknowledged.add(id);
    }, account);
    // Analytics, Email and Shipping, and what they have not written: a count, an address and a mail, another address.
    expect(judgement).toMatchObject({ lost: 3, wrongRows: 4, wrongAppends: 0 });
  });

  it("notices an acknowledged event that is gone, a rolled-back one that is there, and one from nowhere", async () => {
    const [undead = "", , ...others] = shop.account.acknowledged;
    const account = { acknowledged: new Set([...others, "gone"]), rolledBack: new Set([undead]) };
    expect(await judge(shop.sql, shopConsumers, account)).toMatchObject({
      ...allIsWell,
      wrongAppends: 3,
      faults: [/acknowledged/, /rolled back/, /nobody appended/].map((fault) => expect.stringMatching(fault)),
    });
  });

  it("is not good when there was nothing to handle", async () => {
    const { faults } = await judgeAfter((tx) => tx`truncate events, trail`);
    expect(faults).toContain("There is no event in the log: nothing was shown.");
  });
});
