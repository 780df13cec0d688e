import { randomInt, randomUUID } from "node:crypto";
import type { EventStore } from "@pup/core";
import {
  addProduct,
  type BasketItem,
  type Decision,
  moveCustomer,
  moveOrderOn,
  placeOrder,
  receiveStock,
  registerCustomer,
} from "../shop/decide.ts";

/** What the producer knows of the shop: only what has been committed. */
export interface ShopFloor {
  /** Makes up what somebody does next. Null when there is nothing to do after all. */
  think(): Promise<Decision[] | null>;
  /** Learns what was committed. */
  remember(decisions: readonly Decision[]): void;
}

const cities = ["Aachen", "Bergen", "Córdoba", "Debrecen", "Évora", "Falun", "Ghent"];
const carriers = ["Swift", "Tortoise", "Pelican"];
const customersAtFirst = 20;
const productsAtFirst = 12;
// Few enough that two shoppers now and then take on the same one, and one of them meets a conflict.
const ordersInSight = 15;

/** Opens the shop: empty shelves, nobody there yet. */
export function createShopFloor(store: Pick<EventStore, "readStream">): ShopFloor {
  const customers: string[] = [];
  const prices = new Map<string, number>();
  const openOrders = new Set<string>();

  const basket = (): BasketItem[] => {
    const wanted = new Set(Array.from({ length: randomInt(1, 4) }, () => pick([...prices.keys()])));
    return [...wanted].map((productId) => ({
      productId,
      quantity: randomInt(1, 4),
      priceCents: prices.get(productId) as number,
    }));
  };

  async function continueAnOrder(): Promise<Decision[] | null> {
    const orderId = pick([...openOrders].slice(0, ordersInSight));
    const stream = await store.readStream({ aggregateType: "Order", aggregateId: orderId });
    const decision = moveOrderOn(stream, { cancel: chance(0.08), carrier: pick(carriers) });
    if (decision) return [decision];
    openOrders.delete(orderId);
    return null;
  }

  return {
    async think() {
      if (prices.size < productsAtFirst) return [addProduct(name("product"), randomInt(200, 20_000), 500)];
      if (customers.length < customersAtFirst) return [registerCustomer(name("customer"), pick(cities))];

      const dice = randomInt(100);
      if (dice < 45 && openOrders.size > 0) return continueAnOrder();
      if (dice < 85) return [placeOrder(name("order"), pick(customers), basket(), { paid: chance(0.2) })];
      if (dice < 90) return [receiveStock(pick([...prices.keys()]), randomInt(10, 100))];
      if (dice < 95) return [moveCustomer(pick(customers), pick(cities))];
      // Somebody new, with their first order: two aggregates, which come into being together or not at all.
      const customerId = name("customer");
      return [registerCustomer(customerId, pick(cities)), placeOrder(name("order"), customerId, basket())];
    },

    remember(decisions) {
      for (const { type, aggregateId, payload } of decisions.flatMap(({ events }) => events)) {
        if (type === "CustomerRegistered") customers.push(aggregateId);
        if (type === "ProductAdded") prices.set(aggregateId, (payload as { priceCents: number }).priceCents);
        if (type === "OrderPlaced") openOrders.add(aggregateId);
        if (type === "OrderShipped" || type === "OrderCancelled") openOrders.delete(aggregateId);
      }
    },
  };
}

/** True with this probability. */
export function chance(probability: number): boolean {
  return Math.random() < probability;
}

function pick<Item>(items: readonly Item[]): Item {
  return items[randomInt(items.length)] as Item;
}

function name(kind: string): string {
  return `${kind}-${randomUUID().slice(0, 13)}`;
}
