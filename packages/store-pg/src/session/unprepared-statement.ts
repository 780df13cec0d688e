import { UnsupportedError } from "@pup/core";
import { sqlStateOf } from "../sql-state.ts";
import type { Query } from "./query.ts";
import { leadingWords, statementText } from "./statement-text.ts";

/** What the server says when it does not know a prepared statement by that name (invalid_sql_statement_name). */
const UNKNOWN_STATEMENT = "26000";

/** Statements that name a prepared statement themselves. */
const NAMING = new Set(["EXECUTE", "DEALLOCATE"]);

/**
 * Puts an error into words that does not say what to do: the client has prepared the statement in its session, and behind a pooler
 * in transaction mode another backend was asked to run it. Other errors stay what they are.
 */
export function explainUnprepared(query: Query, error: unknown): unknown {
  if (sqlStateOf(error) !== UNKNOWN_STATEMENT) return error;
  const [word = ""] = leadingWords(statementText(query), 1);
  if (NAMING.has(word)) return error;
  return new UnsupportedError(
    "Expected the server to know a statement that had been prepared in the same session, but another backend answered. That is " +
      "what a pooler in transaction mode does which keeps no statements prepared, such as PgBouncer before 1.21 or without " +
      "`max_prepared_statements`: set `prepare: false`.",
    { cause: error },
  );
}
