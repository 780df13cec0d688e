import type { TransactionSql } from "postgres";
import type { Client } from "../../workload/connect.ts";

/** An event as the loop reads it. */
export interface RawEvent {
  readonly globalPosition: bigint;
  readonly aggregateId: string;
  readonly payload: unknown;
}

export interface RawCatchUp {
  /** Name of a checkpoint that does not exist yet. */
  readonly consumer: string;
  readonly batchSize: number;
  /** Only events of this type. */
  readonly eventType?: string;
  readonly handle: (tx: TransactionSql, events: readonly RawEvent[]) => Promise<void>;
  readonly signal: AbortSignal;
}

/**
 * Reads the log to its end, in batches that commit with their checkpoint. The next page is read while one is handled; the update of
 * the checkpoint proves that nobody else has moved it. It knows nothing of appends in flight, so it would lose events beside
 * writers.
 *
 * @returns events handled
 */
export async function catchUpByHand(sql: Client, options: RawCatchUp): Promise<number> {
  const { consumer, batchSize, eventType, handle, signal } = options;
  await sql`INSERT INTO consumer_checkpoints (consumer_name, last_position) VALUES (${consumer}, 0)`;

  const read = (after: bigint) => sql<RawEvent[]>`
    SELECT
      global_position AS "globalPosition", aggregate_type AS "aggregateType", aggregate_id AS "aggregateId",
      aggregate_version AS "aggregateVersion", event_id AS id, event_type AS type, event_version AS version,
      payload, metadata, trace_id AS "traceId", correlation_id AS "correlationId", causation_id AS "causationId",
      created_at AS "createdAt"
    FROM events
    WHERE global_position > ${after} ${eventType === undefined ? sql`` : sql`AND event_type = ${eventType}`}
    ORDER BY global_position
    LIMIT ${batchSize}`;

  let handled = 0;
  let position = 0n;
  let page = await read(position);
  while (page.length > 0 && !signal.aborted) {
    const from = position;
    const to = page.at(-1)?.globalPosition ?? from;
    // Sent now, awaited after the batch.
    const next = page.length === batchSize ? read(to).execute() : undefined;
    const events = page;
    await sql.begin(async (tx) => {
      await handle(tx, events);
      const saved = await tx`
        UPDATE consumer_checkpoints SET last_position = ${to}, updated_at = now()
        WHERE consumer_name = ${consumer} AND last_position = ${from}`;
      if (saved.count !== 1) throw new Error("Somebody else has moved the checkpoint.");
    });
    handled += events.length;
    position = to;
    page = next ? await next : ([] as unknown as typeof page);
  }
  return handled;
}
