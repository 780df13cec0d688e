import { type AggregateRef, checkInteger, type Stream, type StreamRange } from "@pup/core";
import type { Execute } from "../execute.ts";
import type { Tables } from "../schema/tables.ts";
import { type EventRow, eventColumns, toRecordedEvent } from "./recorded-event.ts";

/** Reads one aggregate's events through `execute`. */
export type ReadStream = (execute: Execute, aggregate: AggregateRef, range?: StreamRange) => Promise<Stream>;

/** Largest aggregate version: PostgreSQL's `integer`. */
const MAX_VERSION = 2 ** 31 - 1;

type StreamRow = EventRow & { readonly headversion: number };

/** Version and events come from one statement, so that they belong together whatever is appended meanwhile. */
export function createReadStream({ events, aggregateHeads }: Tables): ReadStream {
  const columns = Object.entries(eventColumns).map(([name, column]) => `${column} AS ${name}`);
  const text = `
SELECT head.aggregate_version AS headversion, event.*
FROM ${aggregateHeads} AS head
LEFT JOIN LATERAL (
  SELECT ${columns.join(", ")}
  FROM ${events}
  WHERE aggregate_type = $1::text AND aggregate_id = $2::text AND aggregate_version BETWEEN $3::integer AND $4::integer
) AS event ON true
WHERE head.aggregate_type = $1::text AND head.aggregate_id = $2::text`;

  return async (execute, { aggregateType, aggregateId }, { fromVersion = 1, toVersion = MAX_VERSION } = {}) => {
    checkInteger("fromVersion", fromVersion, { min: 0 });
    checkInteger("toVersion", toVersion, { min: 0 });
    const rows = await execute<StreamRow>(text, [aggregateType, aggregateId, fromVersion, toVersion]);
    const version = Number(rows[0]?.headversion ?? 0);
    // An aggregate without events in the range still has its head's row.
    const found = rows.filter(({ id }) => id !== null).map((row) => toRecordedEvent(row));
    // They come from the index in order already. PostgreSQL does not know, and would sort them all once more, on disk if many.
    found.sort((a, b) => a.aggregateVersion - b.aggregateVersion);
    return { aggregateType, aggregateId, events: found, version, isEmpty: version === 0, length: found.length };
  };
}
