import { type Consumer, defineConsumer, type EventScope, type RecordedEvent } from "@pup/core";
import type { PgTransaction } from "@pup/store-pg";
import type { Sql } from "postgres";

/** What became of the log in one consumer's hands. */
export interface TrailReport {
  /** Events in the consumer's scope that are in the log. */
  readonly committed: number;
  /** Effects that the consumer has committed. */
  readonly delivered: number;
  /** Events without an effect. */
  readonly lost: number;
  /** Effects beyond one for an event. */
  readonly duplicates: number;
  /** Effects that came after the effect of a later event. */
  readonly outOfOrder: number;
}

/** Creates the table in which {@link trailConsumer}s leave one row for each event, in the order in which they handle them. */
export async function createTrail(sql: Sql): Promise<void> {
  await sql`
    create table trail (
      seq bigint generated always as identity primary key,
      consumer text not null,
      position bigint not null,
      epoch bigint
    )`;
}

/** A consumer that leaves its trail, in the batch's transaction. */
export function trailConsumer(name: string, consumer: Partial<Consumer<PgTransaction>> = {}): Consumer<PgTransaction> {
  return defineConsumer<PgTransaction>({
    name,
    handleBatch: (events, { tx }) => leaveTrail(tx, name, events),
    ...consumer,
  } as Consumer<PgTransaction>);
}

/** Leaves one row for each event, in one statement. */
export async function leaveTrail(
  tx: Pick<PgTransaction, "sql">,
  name: string,
  events: readonly RecordedEvent[],
  epoch: number | null = null,
): Promise<void> {
  const positions = JSON.stringify(events.map((event) => String(event.globalPosition)));
  await tx.sql`
    insert into trail (consumer, position, epoch)
    select ${name}, position::bigint, ${epoch}::bigint
    from json_array_elements_text(${positions}::text::json) with ordinality as handled (position, number)
    order by number`;
}

/** Compares a consumer's trail with the log. */
export async function compareTrail(sql: Sql, consumer: string, scope: EventScope = {}): Promise<TrailReport> {
  const types = (names: readonly string[] | undefined) => (names ? JSON.stringify(names) : null);
  const [report] = await sql<[TrailReport]>`
    with wanted as (
      select global_position as position from events
      where (${types(scope.aggregateTypes)}::text is null
          or ${types(scope.aggregateTypes)}::text::jsonb ? aggregate_type)
        and (${types(scope.eventTypes)}::text is null
          or ${types(scope.eventTypes)}::text::jsonb ? event_type)
    ), effects as (
      select position, lag(position) over (order by seq) as before from trail where consumer = ${consumer}
    )
    select
      (select count(*) from wanted)::int as committed,
      (select count(*) from effects)::int as delivered,
      (select count(*) from wanted where not exists (
        select from effects where effects.position = wanted.position
      ))::int as lost,
      (select count(*) - count(distinct position) from effects)::int as duplicates,
      (select count(*) from effects where position < before)::int as "outOfOrder"`;
  return report;
}
