import { checkInteger } from "@pup/core";
import type { Sql } from "postgres";
import type { Dispatch } from "./guarded-query.ts";
import { asQuery, type Query } from "./query.ts";
import { leadingWords, statementText } from "./statement-text.ts";

const READS = new Set(["SELECT", "VALUES", "TABLE", "WITH"]);
const WRITES = /\b(insert|update|delete|merge)\b/i;

export interface CursorParts {
  readonly maker: Sql;
  readonly dispatch: Dispatch;
  /** A number that no other cursor of the transaction has. */
  readonly number: number;
}

/**
 * Reads a query's rows in slices, through a cursor made of statements: DECLARE, FETCH, CLOSE. Other statements can run between
 * two slices, each FETCH is checked like any statement, and a lost connection ends the loop with an error.
 *
 * The server can only do this for statements that read. For others, all rows are fetched at once and cut into slices.
 */
export async function* readSlices(
  { maker, dispatch, number }: CursorParts,
  query: Query,
  size: number,
): AsyncGenerator<readonly unknown[]> {
  checkInteger("rows", size);
  if (!canBeDeclared(query)) {
    const rows = (await query) as unknown[];
    for (let start = 0; start < rows.length; start += size) yield rows.slice(start, start + size);
    return;
  }

  const run = (statement: Query) => {
    statement.handler = dispatch;
    return statement.execute() as Promise<unknown[]>;
  };
  const name = `pup_cursor_${number}`;
  const fetch = () => {
    const slice = asQuery(maker.unsafe(`fetch forward ${size} from ${name}`));
    slice.isRaw = query.isRaw;
    return run(slice);
  };
  let [, rows] = await Promise.all([run(declare(maker, name, query)), fetch()]);
  let isLast = rows.length < size;
  try {
    while (rows.length > 0) {
      yield rows;
      if (isLast) break;
      rows = await fetch();
      isLast = rows.length < size;
    }
  } finally {
    // Not awaited: nothing depends on it, and what failed before it is told by the transaction.
    void run(asQuery(maker.unsafe(`close ${name}`)));
  }
}

function canBeDeclared(query: Query): boolean {
  const text = statementText(query);
  const [word = ""] = leadingWords(text, 1);
  return READS.has(word) && !(word === "WITH" && WRITES.test(text));
}

function declare(maker: Sql, name: string, query: Query): Query {
  const head = `declare ${name} no scroll cursor for`;
  if (!query.tagged) return asQuery(maker.unsafe(`${head} ${query.strings[0]}`, [...query.args] as never[]));
  const declaration = asQuery(maker`${maker.unsafe(head)} ${query as never}`);
  // The name differs each time: prepared, it would stay in the session's cache for good.
  declaration.options.prepare = false;
  return declaration;
}
