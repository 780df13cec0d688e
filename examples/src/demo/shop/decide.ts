import type { ExpectedVersion, NewEvent, RecordedEvent, Stream } from "@pup/core";
import { type OrderLine, type ShopEvent, shopEvent } from "./events.ts";

/** Events to append to one aggregate, and what the append expects to find there. */
export interface Decision {
  readonly events: readonly NewEvent[];
  readonly expectedVersion: ExpectedVersion;
}

/** What somebody puts into the basket: product id to price and quantity. */
export interface BasketItem {
  readonly productId: string;
  readonly quantity: number;
  readonly priceCents: number;
}

/** A new order; `paid` pays for it in the same append. */
export function placeOrder(
  orderId: string,
  customerId: string,
  basket: readonly BasketItem[],
  { paid = false } = {},
): Decision {
  const lines = basket.map(({ productId, quantity }): OrderLine => ({ productId, quantity }));
  const totalCents = basket.reduce((total, { quantity, priceCents }) => total + quantity * priceCents, 0);
  const placed = shopEvent("OrderPlaced", orderId, { customerId, totalCents, lines });
  const events = paid ? [placed, shopEvent("OrderPaid", orderId, { customerId })] : [placed];
  return { events, expectedVersion: "no-stream" };
}

/**
 * The next step of an order: paid, then shipped, or cancelled before that. Null when there is none.
 *
 * Valid only for the stream as it was read: the append expects exactly its version.
 */
export function moveOrderOn(
  stream: Stream,
  { cancel, carrier }: { cancel: boolean; carrier: string },
): Decision | null {
  const placed = stream.events[0] as RecordedEvent as ShopEvent | undefined;
  const newest = stream.events.at(-1);
  if (placed?.type !== "OrderPlaced" || newest === undefined) return null;
  const { customerId, lines } = placed.payload;
  const orderId = stream.aggregateId;
  const isOver = newest.type === "OrderShipped" || newest.type === "OrderCancelled";
  if (isOver) return null;

  const next = cancel
    ? shopEvent("OrderCancelled", orderId, { customerId, lines })
    : newest.type === "OrderPlaced"
      ? shopEvent("OrderPaid", orderId, { customerId })
      : shopEvent("OrderShipped", orderId, { customerId, carrier, lines });
  return { events: [next], expectedVersion: stream.version };
}

/** Somebody new. */
export function registerCustomer(customerId: string, city: string): Decision {
  const registered = shopEvent("CustomerRegistered", customerId, { email: `${customerId}@example.com`, city });
  return { events: [registered], expectedVersion: "no-stream" };
}

/** Whatever happened to the customer before, this is where they live now. */
export function moveCustomer(customerId: string, city: string): Decision {
  return { events: [shopEvent("CustomerMoved", customerId, { city })], expectedVersion: "any" };
}

/** A new product, with its first stock. */
export function addProduct(productId: string, priceCents: number, quantity: number): Decision {
  const events = [
    shopEvent("ProductAdded", productId, { priceCents }),
    shopEvent("StockReceived", productId, { quantity }),
  ];
  return { events, expectedVersion: "no-stream" };
}

/** Goods arrive. */
export function receiveStock(productId: string, quantity: number): Decision {
  return { events: [shopEvent("StockReceived", productId, { quantity })], expectedVersion: "any" };
}
