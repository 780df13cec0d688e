import type { ISql, Sql } from "postgres";
import type { OrderPayload } from "./orders.ts";

/** The part of an event that the read model needs. */
export interface OrderEvent {
  readonly aggregateId: string;
  readonly payload: unknown;
}

/** A read model: what each order's events come to. Empty, also where there has been one. */
export async function createOrderTotals(sql: Sql): Promise<void> {
  await sql`DROP TABLE IF EXISTS order_totals`;
  await sql`CREATE TABLE order_totals (order_id text PRIMARY KEY, events integer NOT NULL, cents bigint NOT NULL)`;
}

/** Events that the read model has counted, and empties it for the next one. */
export async function takeOrderTotals(sql: Sql): Promise<number> {
  const [row] = await sql<{ events: number }[]>`SELECT coalesce(sum(events), 0)::int AS events FROM order_totals`;
  await sql`TRUNCATE order_totals`;
  return row?.events ?? 0;
}

/** One upsert. Sent when it is awaited. */
export function upsertOne(sql: ISql, { aggregateId, payload }: OrderEvent) {
  return sql`
    INSERT INTO order_totals AS total (order_id, events, cents)
    VALUES (${aggregateId}, 1, ${String((payload as OrderPayload).cents)})
    ON CONFLICT (order_id) DO UPDATE SET events = total.events + 1, cents = total.cents + excluded.cents`;
}

/** One upsert for each event, each awaited before the next is sent. */
export async function upsertEach(sql: ISql, events: readonly OrderEvent[]): Promise<void> {
  for (const event of events) await upsertOne(sql, event);
}

/** One upsert for each event, sent without waiting for the one before. */
export async function upsertPipelined(sql: ISql, events: readonly OrderEvent[]): Promise<void> {
  await Promise.all(events.map((event) => upsertOne(sql, event)));
}

/** One upsert for all events together. */
export async function upsertAtOnce(sql: ISql, events: readonly OrderEvent[]): Promise<void> {
  const totals = new Map<string, { id: string; events: number; cents: number }>();
  for (const { aggregateId, payload } of events) {
    const total = totals.get(aggregateId) ?? { id: aggregateId, events: 0, cents: 0 };
    total.events += 1;
    total.cents += (payload as OrderPayload).cents;
    totals.set(aggregateId, total);
  }
  await sql`
    INSERT INTO order_totals AS total (order_id, events, cents)
    SELECT id, events, cents
    FROM jsonb_to_recordset(${JSON.stringify([...totals.values()])}::text::jsonb) AS given (id text, events integer, cents bigint)
    ON CONFLICT (order_id) DO UPDATE SET events = total.events + excluded.events, cents = total.cents + excluded.cents`;
}
