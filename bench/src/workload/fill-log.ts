import { connect } from "./connect.ts";
import { AGGREGATE_TYPE, COMMON_TYPE, EVENTS_PER_ORDER, orderPayloadSql, RARE_TYPE } from "./orders.ts";

/**
 * Fills an empty log in one statement, with the heads that belong to the events, and leaves it as vacuum and analyze would: ten events
 * to each order, spread as if many orders were worked on at a time; every hundredth event is of the rare type.
 */
export async function fillLog(url: string, events: number): Promise<void> {
  const sql = connect(url, 1);
  try {
    // Shared out like this, an order's events stand a thousand positions apart.
    const order = `'order-filled-' || ((number - 1) / ${1_000 * EVENTS_PER_ORDER}) || '-' || ((number - 1) % 1000)`;
    await sql.unsafe(`
      INSERT INTO events (
        event_id, aggregate_version, event_version, bucket, event_type, aggregate_type, aggregate_id, payload
      )
      SELECT
        uuidv7(), (number - 1) / 1000 % ${EVENTS_PER_ORDER} + 1, 1,
        ('x' || left(md5(convert_to('${AGGREGATE_TYPE}', 'UTF8') || '\\x00' || convert_to(order_id, 'UTF8')), 3))::bit(10)::int,
        CASE WHEN number % 100 = 0 THEN '${RARE_TYPE}' ELSE '${COMMON_TYPE}' END, '${AGGREGATE_TYPE}', order_id,
        ${orderPayloadSql}
      FROM generate_series(1, ${events}) AS number, LATERAL (SELECT ${order} AS order_id) AS named
      ORDER BY number`);
    await sql`
      INSERT INTO aggregate_heads (aggregate_type, aggregate_id, aggregate_version)
      SELECT aggregate_type, aggregate_id, max(aggregate_version) FROM events GROUP BY 1, 2`;
    for (const table of ["events", "aggregate_heads"]) await sql.unsafe(`VACUUM (ANALYZE) ${table}`);
    await sql.unsafe("CHECKPOINT");
  } finally {
    await sql.end();
  }
}
