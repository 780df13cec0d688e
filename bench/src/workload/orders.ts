/** What all contestants write: about 200 bytes of JSON. */
export interface OrderPayload {
  readonly number: number;
  readonly customer: string;
  readonly currency: string;
  readonly cents: number;
  readonly note: string;
}

export const AGGREGATE_TYPE = "Order";
/** Type of most events, and of every hundredth: for consumers that want few of all. */
export const [COMMON_TYPE, RARE_TYPE] = ["OrderPlaced", "OrderCancelled"];
/** Events of one aggregate. */
export const EVENTS_PER_ORDER = 10;

const NOTE = "Please leave it at the neighbours' if nobody opens, and ring twice: the bell is quiet. Thank you!";

export function orderPayload(number: number): OrderPayload {
  return { number, customer: `customer-${number % 1_000}`, currency: "EUR", cents: number % 100_000, note: NOTE };
}

/** The same, as an SQL expression of a column `number`. */
export const orderPayloadSql = `jsonb_build_object(
  'number', number, 'customer', 'customer-' || number % 1000, 'currency', 'EUR', 'cents', number % 100000,
  'note', '${NOTE.replaceAll("'", "''")}')`;

/** Payloads for one append, to an order that takes a few of them before there is a new one. */
export interface OrderAppend {
  readonly orderId: string;
  readonly payloads: readonly OrderPayload[];
}

/** Makes what one caller appends, one append after the other: ten events to each order. */
export function createOrders(caller: string, eventsPerAppend: number): () => OrderAppend {
  let number = 0;
  return () => {
    const order = Math.floor(number / Math.max(EVENTS_PER_ORDER, eventsPerAppend));
    const payloads = Array.from({ length: eventsPerAppend }, () => orderPayload(number++));
    return { orderId: `order-${caller}-${order}`, payloads };
  };
}
