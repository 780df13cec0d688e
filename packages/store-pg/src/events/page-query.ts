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
 * Builds the statement for a scope. One part for each type in it, read along its own index and cut at the limit: given a list
 * of types in one condition, PostgreSQL would sort all there is of them, or walk past everything else.
 *
 * Bytes are counted as they are stored, without unpacking what is not sent. The first event that does not fit any more comes
 * without its payload: that is how a page tells that it was cut.
 */
export function buildPageQuery({ events }: Tables, scope: EventScope): PageQuery {
  const parts = conditionsOf(scope).map(
    (condition) => sql`(
      SELECT * FROM ${sql.raw(events)}
      WHERE global_position > ${after} AND global_position <= ${upTo} AND ${condition}
      ORDER BY global_position LIMIT ${limit}
    )`,
  );
  const fits = sql`(reached <= ${maxBytes} OR reached = size)`;
  const columns = Object.entries({ ...eventColumns, payload: sql`CASE WHEN ${fits} THEN payload::text END` }).map(
    ([name, column]) => sql`${typeof column === "string" ? sql.raw(column) : column} AS ${sql.raw(name)}`,
  );
  const { sql: text, parameters } = sql`
    SELECT ${sql.join(columns)}
    FROM (
      SELECT candidate.*, sum(size) OVER (ORDER BY global_position ROWS UNBOUNDED PRECEDING) AS reached
      FROM (
        SELECT part.*, pg_column_size(payload) + coalesce(pg_column_size(metadata), 0) AS size
        FROM (${sql.join(parts, sql` UNION ALL `)}) AS part
        ORDER BY global_position LIMIT ${limit}
      ) AS candidate
    ) AS page
    WHERE reached - size <= ${maxBytes}
    ORDER BY global_position`.compile(compiler);

  return {
    text,
    valuesFor: (request) =>
      parameters.map((parameter) => (parameter instanceof Slot ? parameter.valueIn(request) : (parameter as string))),
  };
}

/** One condition for each part to read. They exclude each other, or events would come twice. */
function conditionsOf({ aggregateTypes, eventTypes }: EventScope): RawBuilder<unknown>[] {
  const inAggregateTypes = aggregateTypes ? sql`aggregate_type IN (${textsOf(aggregateTypes)})` : sql`true`;
  if (eventTypes) return unique(eventTypes).map((type) => sql`event_type = ${text(type)} AND ${inAggregateTypes}`);
  if (aggregateTypes) return unique(aggregateTypes).map((type) => sql`aggregate_type = ${text(type)}`);
  return [sql`true`];
}

function textsOf(values: readonly string[]): RawBuilder<unknown> {
  return sql.join(unique(values).map(text));
}

function text(value: string): RawBuilder<string> {
  return sql`${value}::text`;
}

function unique(values: readonly string[]): string[] {
  return [...new Set(values)];
}

function bigint(valueIn: Slot["valueIn"]): RawBuilder<bigint> {
  return sql`${new Slot(valueIn)}::bigint`;
}
