// The producer of the demo: a process of its own, with ten shoppers who append at the same time until SIGTERM.
import { createPgStore } from "@pup/store-pg";
import { readChildSettings, reportToParent } from "../fleet/child-side.ts";
import type { ShopTables } from "../shop/tables.ts";
import { createLedger } from "./ledger.ts";
import { createShopFloor } from "./shop-floor.ts";
import { runShopper } from "./shopper.ts";

const shoppers = 10;

const { databaseUrl, dispatcher, stopping } = readChildSettings();
const store = createPgStore<ShopTables>({
  connection: databaseUrl,
  max: shoppers,
  notify: dispatcher === "notify" ? {} : undefined,
});
const ledger = createLedger();
const floor = createShopFloor(store);

const reporting = setInterval(() => reportToParent(ledger.take()), 100);
try {
  await Promise.all(Array.from({ length: shoppers }, () => runShopper({ store, floor, ledger, signal: stopping })));
} finally {
  clearInterval(reporting);
  reportToParent(ledger.take());
  await store.close();
}
