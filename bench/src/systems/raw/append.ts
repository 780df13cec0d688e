import { hash } from "node:crypto";
import type { ISql } from "postgres";
import { AGGREGATE_TYPE, COMMON_TYPE, type OrderAppend } from "../../workload/orders.ts";
import { uuid } from "../../workload/uuid.ts";

/** Which of 1,024 parts of the log an order belongs to, as pup's column wants it. */
function bucketOf(orderId: string): number {
  return Number.parseInt(hash("md5", `${AGGREGATE_TYPE}\0${orderId}`).slice(0, 3), 16) >> 2;
}

/** The head, which gives the versions, and the events: one statement. What pup is held against. */
export async function appendWithHead(sql: ISql, { orderId, payloads }: OrderAppend): Promise<number> {
  const bucket = bucketOf(orderId);
  const [first] = payloads;
  if (payloads.length === 1) {
    const rows = await sql`
      WITH head AS (
        INSERT INTO aggregate_heads AS head (aggregate_type, aggregate_id, aggregate_version)
        VALUES (${AGGREGATE_TYPE}, ${orderId}, 1)
        ON CONFLICT (aggregate_type, aggregate_id)
        DO UPDATE SET aggregate_version = head.aggregate_version + 1, updated_at = now()
        RETURNING aggregate_version
      )
      INSERT INTO events (
        event_id, aggregate_version, event_version, bucket, event_type, aggregate_type, aggregate_id, payload
      )
      SELECT
        ${uuid()}::uuid, aggregate_version, 1, ${bucket}::smallint, ${COMMON_TYPE}, ${AGGREGATE_TYPE}, ${orderId},
        ${JSON.stringify(first)}::text::jsonb
      FROM head
      RETURNING global_position, aggregate_version, created_at`;
    return rows.count;
  }
  const rows = await sql`
    WITH head AS (
      INSERT INTO aggregate_heads AS head (aggregate_type, aggregate_id, aggregate_version)
      VALUES (${AGGREGATE_TYPE}, ${orderId}, ${payloads.length})
      ON CONFLICT (aggregate_type, aggregate_id)
      DO UPDATE SET aggregate_version = head.aggregate_version + ${payloads.length}, updated_at = now()
      RETURNING aggregate_version - ${payloads.length} AS before
    )
    INSERT INTO events (
      event_id, aggregate_version, event_version, bucket, event_type, aggregate_type, aggregate_id, payload
    )
    SELECT id, before + n, 1, ${bucket}::smallint, ${COMMON_TYPE}, ${AGGREGATE_TYPE}, ${orderId}, payload
    FROM head, ROWS FROM (
      jsonb_to_recordset(${JSON.stringify(payloads.map((payload) => ({ id: uuid(), payload })))}::text::jsonb)
        AS (id uuid, payload jsonb)
    ) WITH ORDINALITY AS given (id, payload, n)
    RETURNING global_position, aggregate_version, created_at`;
  return rows.count;
}

/** The events alone, with versions that the caller has to know: no optimistic concurrency, nothing that puts appends in order. */
export async function insertEvents(sql: ISql, { orderId, payloads }: OrderAppend): Promise<number> {
  const bucket = bucketOf(orderId);
  const rows = payloads.map((payload) => ({
    event_id: uuid(),
    aggregate_version: (payload.number % Math.max(10, payloads.length)) + 1,
    event_version: 1,
    bucket,
    event_type: COMMON_TYPE,
    aggregate_type: AGGREGATE_TYPE,
    aggregate_id: orderId,
    payload: sql.json({ ...payload }),
  }));
  const inserted = await sql`INSERT INTO events ${sql(rows)} RETURNING global_position, created_at`;
  return inserted.count;
}
