// The same consumer with its SQL, on PostgreSQL: the same words, a database of its own for each test.
import { createWorker } from "@pup/coordinator";
import { createPgStore, migrate } from "@pup/store-pg";
import { createGiven } from "@pup/testing";
import { prepareStores } from "@pup/testing/postgres";
import { afterAll, expect, inject, it } from "vitest";
import { openOrders, ordersInPg } from "./open-orders.ts";

const stores = prepareStores({
  serverUrl: inject("postgresUrl"),
  async prepare(url) {
    await migrate({ connection: url });
    const store = createPgStore({ connection: url });
    await store.transaction(({ sql }) => sql`create table open_orders (id text primary key)`);
    await store.close();
  },
  openStore: (url) => createPgStore({ connection: url }),
});
afterAll(() => stores.close());

const given = createGiven({ createWorker, open: stores.open });

const event = (aggregateId: string, type: string) => ({ aggregateType: "Order", aggregateId, type, payload: {} });

it("lists an order until it is shipped", () =>
  given([event("o-1", "OrderPlaced"), event("o-2", "OrderPlaced")])
    .when(openOrders(ordersInPg))
    .when([event("o-1", "OrderShipped")])
    .then(async ({ store }) => {
      expect(await store.transaction((tx) => ordersInPg(tx).list())).toEqual(["o-2"]);
    }));
