import { checkInteger } from "@pup/core";
import type { Sql } from "postgres";
import { createGuard, type Dispatch, type OpenCursor } from "./guarded-query.ts";
import { asQuery, type Query } from "./query.ts";
import { leadingWords, statementText } from "./statement-text.ts";

const READS = new Set(["SELECT", "VALUES", "TABLE", "WITH"]);
const WRITES = /\b(insert|update|delete|merge)\b/i;

/**
 * Cursors of one transaction, made of statements: DECLARE, FETCH, CLOSE. Other statements can run between two slices, each
 * FETCH is checked like any statement, and a lost connection ends the loop with an error.
 *
 * The server can only do this for statements that read. For others, all rows are fetched at once and cut into slices.
 */
export function createCursors(maker: Sql, dispatch: Dispatch): OpenCursor {
  let count = 0;
  const guard = createGuard(dispatch, openCursor);
  const run = (query: Query) => guard(query).execute() as Promise<unknown[]>;

  async function* openCursor(query: Query, size: number): AsyncGenerator<readonly unknown[]> {
    checkInteger("rows", size);
    if (!canBeDeclared(query)) {
      const rows = (await query) as unknown[];
      for (let start = 0; start < rows.length; start += size) yield rows.slice(start, start + size);
      return;
    }

    count += 1;
    const name = `pup_cursor_${count}`;
    const fetch = () => {
      const slice = asQuery(maker.unsafe(`fetch forward ${size} from ${name}`));
      slice.isRaw = query.isRaw;
      return run(slice);
    };
    let [, rows] = await Promise.all([run(declare(maker, name, query)), fetch()]);
    let isWhole = rows.length < size;
    try {
      while (rows.length > 0) {
        yield rows;
        if (isWhole) break;
        rows = await fetch();
        isWhole = rows.length < size;
      }
    } finally {
      // Not awaited: nothing depends on it, and what failed before it is told by the transaction.
      void run(asQuery(maker.unsafe(`close ${name}`)));
    }
  }

  return openCursor;
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
