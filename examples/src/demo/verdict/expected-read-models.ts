/** What one table must hold, as a query over the log. */
export interface ExpectedReadModel {
  readonly table: string;
  /** Columns to compare, in the order in which the query gives them. */
  readonly columns: string;
  readonly query: string;
}

/**
 * The read models once more, each straight from the log in one statement: nothing here is shared with the consumers, nor with
 * the way in which pup reads.
 */
export const expectedReadModels: readonly ExpectedReadModel[] = [
  {
    table: "event_counts",
    columns: "event_type, events, last_position",
    query: "select event_type, count(*), max(global_position) from events group by event_type",
  },
  {
    table: "invoices",
    columns: "order_id, customer_id, amount_cents, state",
    query: `
      select
        aggregate_id,
        max(payload ->> 'customerId'),
        max((payload ->> 'totalCents')::integer),
        case
          when bool_or(event_type = 'OrderCancelled') and bool_or(event_type = 'OrderPaid') then 'refunded'
          when bool_or(event_type = 'OrderCancelled') then 'void'
          when bool_or(event_type = 'OrderPaid') then 'paid'
          else 'open'
        end
      from events where aggregate_type = 'Order' group by aggregate_id`,
  },
  {
    table: "mail_addresses",
    columns: "customer_id, email",
    query: "select aggregate_id, payload ->> 'email' from events where event_type = 'CustomerRegistered'",
  },
  {
    table: "mail_outbox",
    columns: "recipient, subject, caused_by",
    query: `
      select
        customer.payload ->> 'email',
        case cause.event_type
          when 'CustomerRegistered' then 'Welcome'
          when 'OrderPlaced' then 'We have your order ' || cause.aggregate_id
          when 'OrderShipped' then 'Order ' || cause.aggregate_id || ' is on its way with ' || (cause.payload ->> 'carrier')
          when 'OrderCancelled' then 'Order ' || cause.aggregate_id || ' is cancelled'
        end,
        cause.global_position
      from events cause
      join events customer
        on customer.event_type = 'CustomerRegistered'
        and customer.aggregate_id = coalesce(cause.payload ->> 'customerId', cause.aggregate_id)
      where cause.event_type in ('CustomerRegistered', 'OrderPlaced', 'OrderShipped', 'OrderCancelled')`,
  },
  {
    table: "stock_levels",
    columns: "product_id, on_hand, reserved",
    query: `
      select product_id, sum(on_hand), sum(reserved)
      from (
        select aggregate_id, coalesce((payload ->> 'quantity')::integer, 0), 0
        from events where aggregate_type = 'Product'
        union all
        select
          line ->> 'productId',
          (line ->> 'quantity')::integer * case event_type when 'OrderShipped' then -1 else 0 end,
          (line ->> 'quantity')::integer * case event_type when 'OrderPlaced' then 1 else -1 end
        from events, jsonb_array_elements(payload -> 'lines') line
        where event_type in ('OrderPlaced', 'OrderShipped', 'OrderCancelled')
      ) change (product_id, on_hand, reserved)
      group by product_id`,
  },
  {
    table: "orders",
    columns: "order_id, customer_id, state, total_cents, version",
    query: `
      select
        placed.aggregate_id,
        placed.payload ->> 'customerId',
        lower(substr(newest.event_type, 6)),
        (placed.payload ->> 'totalCents')::integer,
        newest.aggregate_version
      from events placed
      join (
        select distinct on (aggregate_id) aggregate_id, aggregate_version, event_type
        from events where aggregate_type = 'Order' order by aggregate_id, aggregate_version desc
      ) newest on newest.aggregate_id = placed.aggregate_id
      where placed.event_type = 'OrderPlaced'`,
  },
  {
    table: "shipping_addresses",
    columns: "customer_id, city",
    query: `
      select distinct on (aggregate_id) aggregate_id, payload ->> 'city'
      from events where aggregate_type = 'Customer' order by aggregate_id, aggregate_version desc`,
  },
  {
    table: "shipments",
    columns: "order_id, city, state, carrier",
    query: `
      select
        paid.aggregate_id,
        (
          select payload ->> 'city' from events
          where aggregate_type = 'Customer' and aggregate_id = paid.payload ->> 'customerId'
            and global_position < paid.global_position
          order by aggregate_version desc limit 1
        ),
        case ending.event_type when 'OrderShipped' then 'shipped' when 'OrderCancelled' then 'stopped' else 'packing' end,
        ending.payload ->> 'carrier'
      from events paid
      left join events ending
        on ending.aggregate_type = 'Order' and ending.aggregate_id = paid.aggregate_id
        and ending.event_type in ('OrderShipped', 'OrderCancelled')
      where paid.event_type = 'OrderPaid'`,
  },
];
