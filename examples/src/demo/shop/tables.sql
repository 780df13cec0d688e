-- Read models of the shop. Each table belongs to one consumer, and nobody else writes to it.

-- Analytics
create table event_counts (
  event_type text primary key,
  events integer not null,
  last_position bigint not null
);

-- Billing
create table invoices (
  order_id text primary key,
  customer_id text not null,
  amount_cents integer not null,
  state text not null check (state in ('open', 'paid', 'void', 'refunded'))
);

-- Email. No unique key on what caused a mail: one sent twice has to show.
create table mail_addresses (
  customer_id text primary key,
  email text not null
);
create table mail_outbox (
  mail_id bigint generated always as identity primary key,
  recipient text not null,
  subject text not null,
  caused_by bigint not null
);

-- Inventory
create table stock_levels (
  product_id text primary key,
  on_hand integer not null,
  reserved integer not null
);

-- Orders
create table orders (
  order_id text primary key,
  customer_id text not null,
  state text not null,
  total_cents integer not null,
  version integer not null
);

-- Shipping
create table shipping_addresses (
  customer_id text primary key,
  city text not null
);
create table shipments (
  order_id text primary key,
  city text not null,
  state text not null check (state in ('packing', 'shipped', 'stopped')),
  carrier text
);

-- What every consumer was given, one row per event, in the order in which it came. Written in the transaction of the read
-- model: what is here has had its effects, and what is not here has not.
create table trail (
  consumer text not null,
  sequence bigint generated always as identity,
  epoch bigint not null,
  position bigint not null,
  primary key (consumer, sequence)
);
