import type { PgTransaction } from "@pup/store-pg";
import type { Generated } from "kysely";

/** The tables of `tables.sql`, for Kysely. */
export interface ShopTables {
  event_counts: { event_type: string; events: number; last_position: string };
  invoices: {
    order_id: string;
    customer_id: string;
    amount_cents: number;
    state: "open" | "paid" | "void" | "refunded";
  };
  mail_addresses: { customer_id: string; email: string };
  mail_outbox: { mail_id: Generated<string>; recipient: string; subject: string; caused_by: string };
  stock_levels: { product_id: string; on_hand: number; reserved: number };
  orders: { order_id: string; customer_id: string; state: string; total_cents: number; version: number };
  shipping_addresses: { customer_id: string; city: string };
  shipments: { order_id: string; city: string; state: "packing" | "shipped" | "stopped"; carrier: string | null };
  trail: { consumer: string; sequence: Generated<string>; epoch: string; position: string };
}

/** A batch's transaction, with the shop's tables. */
export type ShopTransaction = PgTransaction<ShopTables>;
