import { readFile } from "node:fs/promises";
import type { ISql, Sql } from "postgres";
import { createGuard, type Dispatch, type OpenCursor } from "./guarded-query.ts";
import { asQuery, fail, type Query } from "./query.ts";

interface FileOptions {
  readonly prepare?: boolean;
  readonly simple?: boolean;
}

/**
 * What postgres.js calls `sql`, with every query going where `dispatch` sends it when it is executed.
 *
 * @param maker - client that makes the queries; it never connects
 */
export function createSql(maker: Sql, dispatch: Dispatch, openCursor: OpenCursor): ISql {
  const guard = createGuard(dispatch, openCursor);

  function sql(first: unknown, ...rest: unknown[]): unknown {
    const made = maker(first as never, ...(rest as never[])) as unknown;
    const isTemplate = Array.isArray(first) && "raw" in first;
    return isTemplate ? guard(made as Query) : made;
  }

  function unsafe(...args: Parameters<ISql["unsafe"]>): Query {
    return guard(asQuery(maker.unsafe(...args)));
  }

  /** The file is read when the query is executed, and the query sent when the file is read. */
  function file(path: string, args: unknown[] | FileOptions = [], options: FileOptions = {}): Query {
    const [values, settings] = Array.isArray(args) ? [args, options] : [[], args];
    const query = guard(asQuery(maker.unsafe("", values as never[], { prepare: true, ...settings })));
    const { handler } = query;
    query.handler = () => {
      readFile(path, "utf8").then(
        (text) => {
          query.strings = [text];
          handler(query);
        },
        (error: unknown) => fail(query, error),
      );
    };
    return query;
  }

  const notify = (channel: string, payload: string) =>
    guard(asQuery(maker`select pg_notify(${channel}, ${String(payload)})`)).execute();

  const { typed, array, json } = maker;
  return Object.assign(sql, { unsafe, file, notify, typed, types: typed, array, json }) as unknown as ISql;
}
