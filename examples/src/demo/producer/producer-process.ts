// The producer of the demo: a process of its own, with ten shoppers who append at the same time until SIGTERM.
import { createPgStore } from "@pup/store-pg";
import { notifyChannel, producerName, readChildSettings, reportToParent } from "../fleet/child-side.ts";
import type { ShopTables } from "../shop/tables.ts";
import { createLedger } from "./ledger.ts";
import { createShopFloor } from "./shop-floor.ts";
import { runShopper } from "./shopper.ts";

const shoppers = 10;

const { databaseUrl, dispatcher, stopping } = readChildSettings();
const store = createPgStore<ShopTables>({
  connection: databaseUrl,
  applicationName: producerName,
  // For each shopper a connection for transactions, and one for single statements.
  max: 2 * shoppers,
  notify: dispatcher === "notify" ? { channel: notifyChannel } : undefined,
});
const ledger = createLedger();
const floor = createShopFloor(store);

const reporting = setInterval(() => reportToParent(ledger.take()), 100);
try {
  await Promise.all(
    Array.from({ length: shoppers }, (_, index) =>
      runShopper({ store, floor, ledger, slow: index === 0, signal: stopping }),
    ),
  );
} finally {
  clearInterval(reporting);
  reportToParent(ledger.take());
  await store.close();
}
