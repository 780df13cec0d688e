import type { EventScope } from "@pup/core";
import type { ISql } from "postgres";

/** What one consumer was given, held against what it should have been given. */
export interface TrailFindings {
  readonly consumer: string;
  readonly deliveries: number;
  /** Events in scope that it never got. */
  readonly lost: number;
  /** Events that it got once too often. */
  readonly duplicates: number;
  /** Events that came after one with a higher position. */
  readonly outOfOrder: number;
  /** Deliveries of what is out of scope, or not in the log at all. */
  readonly strays: number;
}

/** A consumer, as far as its trail can be judged by it. */
export interface Scoped extends EventScope {
  readonly name: string;
}

/** Compares the trails that consumers have left with the log. */
export function compareTrails(sql: ISql, consumers: readonly Scoped[]): Promise<readonly TrailFindings[]> {
  return Promise.all(consumers.map((consumer) => compareTrail(sql, consumer)));
}

async function compareTrail(sql: ISql, { name, aggregateTypes, eventTypes }: Scoped): Promise<TrailFindings> {
  const [findings] = await sql<[Omit<TrailFindings, "consumer">]>`
    with
      expected as (
        select global_position as position from events
        where (${aggregateTypes === undefined} or aggregate_type = any (${aggregateTypes ?? []}))
          and (${eventTypes === undefined} or event_type = any (${eventTypes ?? []}))
      ),
      delivered as (
        select position, lag(position) over (order by sequence) as position_before
        from trail where consumer = ${name}
      )
    select
      count(*)::integer as deliveries,
      (count(*) - count(distinct position))::integer as duplicates,
      count(*) filter (where position < position_before)::integer as "outOfOrder",
      (select count(*) from (select position from expected except select position from delivered) x)::integer as lost,
      (select count(*) from (select position from delivered except select position from expected) x)::integer as strays
    from delivered`;
  return { consumer: name, ...findings };
}
