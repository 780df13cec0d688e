import { defineConsumer } from "@pup/core";
import type { Insertable } from "kysely";
import type { ShopEvent } from "../events.ts";
import type { ShopTables, ShopTransaction } from "../tables.ts";

/**
 * Sends parcels to where the customer lives when the order is paid: right only if customers and orders come in the one order
 * in which they happened. Loads what the batch touches, works on it in memory, and writes it back, with Kysely.
 */
export const shipping = defineConsumer<ShopTransaction>({
  name: "Shipping",
  eventTypes: ["CustomerRegistered", "CustomerMoved", "OrderPaid", "OrderShipped", "OrderCancelled"],

  async handleBatch(events, { tx: { db } }) {
    const happened = events as readonly ShopEvent[];
    const cities = await loadCities(db, happened);
    const shipments = await loadShipments(db, happened);
    const moved = new Set<string>();

    for (const { type, aggregateId, payload } of happened) {
      const shipment = shipments.get(aggregateId);
      switch (type) {
        case "CustomerRegistered":
        case "CustomerMoved":
          cities.set(aggregateId, payload.city);
          moved.add(aggregateId);
          break;
        case "OrderPaid": {
          const city = cities.get(payload.customerId);
          if (city === undefined) throw new Error(`Nobody knows where customer ${payload.customerId} lives.`);
          shipments.set(aggregateId, { order_id: aggregateId, city, state: "packing", carrier: null });
          break;
        }
        case "OrderShipped":
          if (shipment) shipments.set(aggregateId, { ...shipment, state: "shipped", carrier: payload.carrier });
          break;
        case "OrderCancelled":
          if (shipment) shipments.set(aggregateId, { ...shipment, state: "stopped" });
          break;
      }
    }

    const addresses = [...moved].map((customer_id) => ({ customer_id, city: cities.get(customer_id) as string }));
    await saveAddresses(db, addresses);
    await saveShipments(db, [...shipments.values()]);
  },
});

type Database = ShopTransaction["db"];

async function loadCities(db: Database, events: readonly ShopEvent[]): Promise<Map<string, string>> {
  const customers = events.flatMap(({ type, payload }) => (type === "OrderPaid" ? [payload.customerId] : []));
  if (customers.length === 0) return new Map();
  const known = await db.selectFrom("shipping_addresses").selectAll().where("customer_id", "in", customers).execute();
  return new Map(known.map(({ customer_id, city }) => [customer_id, city]));
}

async function loadShipments(db: Database, events: readonly ShopEvent[]) {
  const orders = events.flatMap(({ type, aggregateId }) =>
    type === "OrderShipped" || type === "OrderCancelled" ? [aggregateId] : [],
  );
  const known =
    orders.length === 0 ? [] : await db.selectFrom("shipments").selectAll().where("order_id", "in", orders).execute();
  return new Map<string, Insertable<ShopTables["shipments"]>>(known.map((row) => [row.order_id, row]));
}

async function saveAddresses(db: Database, rows: Insertable<ShopTables["shipping_addresses"]>[]): Promise<void> {
  if (rows.length === 0) return;
  await db
    .insertInto("shipping_addresses")
    .values(rows)
    .onConflict((conflict) => conflict.column("customer_id").doUpdateSet(({ ref }) => ({ city: ref("excluded.city") })))
    .execute();
}

async function saveShipments(db: Database, rows: Insertable<ShopTables["shipments"]>[]): Promise<void> {
  if (rows.length === 0) return;
  await db
    .insertInto("shipments")
    .values(rows)
    .onConflict((conflict) =>
      conflict
        .column("order_id")
        .doUpdateSet(({ ref }) => ({ state: ref("excluded.state"), carrier: ref("excluded.carrier") })),
    )
    .execute();
}
