import type { EventScope, LogPage, ReadLogRequest } from "@pup/core";
import type { Execute } from "../execute.ts";
import type { Tables } from "../schema/tables.ts";
import { type PageRow, toLogPage } from "./log-page.ts";
import { buildPageQuery, type PageQuery } from "./page-query.ts";

/** Reads a page of the log through `execute`. */
export type ReadLog = (execute: Execute, request: ReadLogRequest) => Promise<LogPage>;

/** One for each scope that is read. Consumers are few; this is for programs that read by ever new scopes. */
const MAX_KEPT_QUERIES = 1_000;

/** Makes the page reader of a store. */
export function createReadLog(tables: Tables): ReadLog {
  const queries = new Map<string, PageQuery>();

  function queryFor({ aggregateTypes, eventTypes }: EventScope): PageQuery {
    const key = JSON.stringify([aggregateTypes, eventTypes]);
    const kept = queries.get(key);
    if (kept) return kept;
    if (queries.size === MAX_KEPT_QUERIES) queries.clear();
    const built = buildPageQuery(tables, { aggregateTypes, eventTypes });
    queries.set(key, built);
    return built;
  }

  return async (execute, request) => {
    const { upTo, limit, scope = {} } = request;
    if (scope.aggregateTypes?.length === 0 || scope.eventTypes?.length === 0) return toLogPage([], upTo);
    const { text, valuesFor } = queryFor(scope);
    const rows = await execute<FoundRow>(text, valuesFor(request));
    const page = rows.filter(fits);
    const isCut = page.length === limit || page.length < rows.length;
    return isCut ? toLogPage(page) : toLogPage(page, upTo);
  };
}

/** An event, or the first one that did not fit into the page any more, without its payload. */
export type FoundRow = Omit<PageRow, "payload"> & { readonly payload: string | null };

export function fits(row: FoundRow): row is PageRow {
  return row.payload !== null;
}
