import type { NewEvent, RecordedEvent } from "@pup/core";

/** Some quantity of one product. */
export interface OrderLine {
  readonly productId: string;
  readonly quantity: number;
}

/** What can happen in the shop: payloads by event type. */
export type ShopPayloads = {
  CustomerRegistered: { readonly email: string; readonly city: string };
  CustomerMoved: { readonly city: string };

  ProductAdded: { readonly priceCents: number };
  StockReceived: { readonly quantity: number };

  OrderPlaced: { readonly customerId: string; readonly totalCents: number; readonly lines: readonly OrderLine[] };
  OrderPaid: { readonly customerId: string };
  OrderShipped: { readonly customerId: string; readonly carrier: string; readonly lines: readonly OrderLine[] };
  OrderCancelled: { readonly customerId: string; readonly lines: readonly OrderLine[] };
};

export type ShopEventType = keyof ShopPayloads;

/** An event of the shop, told apart by its `type`. */
export type ShopEvent = {
  [Type in ShopEventType]: RecordedEvent<ShopPayloads[Type]> & { readonly type: Type };
}[ShopEventType];

const aggregateTypeOf = {
  CustomerRegistered: "Customer",
  CustomerMoved: "Customer",
  ProductAdded: "Product",
  StockReceived: "Product",
  OrderPlaced: "Order",
  OrderPaid: "Order",
  OrderShipped: "Order",
  OrderCancelled: "Order",
} as const satisfies Record<ShopEventType, string>;

/** Makes an event of the shop, to be appended. */
export function shopEvent<Type extends ShopEventType>(
  type: Type,
  aggregateId: string,
  payload: ShopPayloads[Type],
): NewEvent<ShopPayloads[Type]> {
  return { aggregateType: aggregateTypeOf[type], aggregateId, type, payload };
}
