import type { EventScope, ReadLogRequest } from "@pup/core";
import {
  DummyDriver,
  Kysely,
  PostgresAdapter,
  PostgresIntrospector,
  PostgresQueryCompiler,
  type RawBuilder,
  sql,
} from "kysely";
import type { SqlValue } from "../execute.ts";
import type { Tables } from "../schema/tables.ts";
import { eventColumns } from "./recorded-event.ts";

/** What differs from page to page of one scope. */
type PageRequest = Omit<ReadLogRequest, "scope">;

/** The statement that reads pages of one scope. */
export interface PageQuery {
  readonly text: string;
  valuesFor(request: PageRequest): SqlValue[];
}

/** Stands where a value will stand that differs from page to page. */
class Slot {
  readonly valueIn: (request: PageRequest) => SqlValue;

  constructor(valueIn: Slot["valueIn"]) {
    this.valueIn = valueIn;
  }
}

const after = bigint((request) => String(request.after));
const upTo = bigint((request) => String(request.upTo));
const limit = bigint((request) => request.limit);
const maxBytes = bigint((request) => request.maxBytes);

/** Puts statements together; cannot run any. */
const compiler = new Kysely<never>({
  dialect: {
    createAdapter: () => new PostgresAdapter(),
    createDriver: () => new DummyDriver(),
    createIntrospector: (db) => new PostgresIntrospector(db),
    createQueryCompiler: () => new PostgresQueryCompiler(),
  },
});

/**
 * Builds the statement for a scope.
 *
 * Bytes are counted as they are stored, without unpacking what is not sent. The first event that does not fit any more comes
 * without its payload: that is how a page tells that it was cut. Also behind a first event that alone is larger than a page, or the
 * page would claim to reach to its end, and what lies there would be lost.
 */
export function buildPageQuery({ events }: Tables, scope: EventScope): PageQuery {
  const log = sql.raw(events);
  const fits = sql`(reached <= ${maxBytes} OR reached = size)`;
  const pageColumns = { ...eventColumns, payload: sql`CASE WHEN ${fits} THEN payload::text END`, size: "size" };
  const columns = Object.entries(pageColumns).map(
    ([name, column]) => sql`${typeof column === "string" ? sql.raw(column) : column} AS ${sql.raw(name)}`,
  );
  const { sql: text, parameters } = sql`
    SELECT ${sql.join(columns)}
    FROM (
      SELECT candidate.*, sum(size) OVER page AS reached, first_value(size) OVER page AS first
      FROM (
        SELECT event.*, pg_column_size(payload) + coalesce(pg_column_size(metadata), 0) AS size
        FROM (${isNarrow(scope) ? eventsOf(log, scope) : allEvents(log)}) AS event
      ) AS candidate
      WINDOW page AS (ORDER BY global_position ROWS UNBOUNDED PRECEDING)
    ) AS page
    WHERE reached - size <= greatest(first, ${maxBytes})
    ORDER BY global_position`.compile(compiler);

  return {
    text,
    valuesFor: (request) =>
      parameters.map((parameter) => (parameter instanceof Slot ? parameter.valueIn(request) : (parameter as string))),
  };
}

function allEvents(log: RawBuilder<unknown>): RawBuilder<unknown> {
  return sql`
    SELECT * FROM ${log}
    WHERE global_position > ${after} AND global_position <= ${upTo}
    ORDER BY global_position LIMIT ${limit}`;
}

/**
 * The events of a scope, found by their types' own index and by nothing else. Offered the primary key as well, PostgreSQL
 * would often take it, expecting an event of that type soon, and walk past millions of others. So each type is a part of its
 * own, and its rows are compared as a whole, which only the index by type and position can do.
 *
 * Parts hold positions alone, at most a page of each; the events that are left are then fetched one by one.
 */
function eventsOf(log: RawBuilder<unknown>, { aggregateTypes, eventTypes }: EventScope): RawBuilder<unknown> {
  const [column, types] = eventTypes ? ["event_type", eventTypes] : ["aggregate_type", aggregateTypes ?? []];
  const isInScope =
    eventTypes && aggregateTypes ? sql`aggregate_type IN (${sql.join(textsOf(aggregateTypes))})` : sql`true`;
  const place = sql`(${sql.ref(column)}, global_position)`;
  const parts = textsOf(types).map(
    (type) => sql`(
      SELECT global_position FROM ${log}
      WHERE ${place} > (${type}, ${after}) AND ${place} <= (${type}, ${upTo}) AND ${isInScope}
      ORDER BY ${sql.ref(column)}, global_position LIMIT ${limit}
    )`,
  );
  return sql`
    SELECT event.*
    FROM (
      SELECT global_position FROM (${sql.join(parts, sql` UNION ALL `)}) AS part ORDER BY global_position LIMIT ${limit}
    ) AS found
    CROSS JOIN LATERAL (SELECT * FROM ${log} WHERE global_position = found.global_position LIMIT 1) AS event`;
}

function isNarrow({ aggregateTypes, eventTypes }: EventScope): boolean {
  return aggregateTypes !== undefined || eventTypes !== undefined;
}

/** Each once, or its events would come twice. */
function textsOf(values: readonly string[]): RawBuilder<string>[] {
  return [...new Set(values)].map((value) => sql<string>`${value}::text`);
}

function bigint(valueIn: Slot["valueIn"]): RawBuilder<bigint> {
  return sql`${new Slot(valueIn)}::bigint`;
}
