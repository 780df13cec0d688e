import { type PupError, UnsupportedError } from "@pup/core";
import type { Query } from "./query.ts";
import { TransactionControlError } from "./session-errors.ts";
import { leadingWords, statementText } from "./statement-text.ts";

const CONTROL = new Set(["BEGIN", "START", "COMMIT", "END", "ROLLBACK", "ABORT", "SAVEPOINT", "RELEASE"]);
const SUSPECTS = new Set([...CONTROL, "PREPARE", "COPY"]);
/** postgres.js opens a stream for these, asked or not, and a loss while one is open ends the process. */
const COPY_STREAM = /\b(from\s+stdin|to\s+stdout)\b/i;
const COPY_UNSUPPORTED = "COPY from and to the client is not available here: use a client of your own for it.";
/** A first word that its piece of text holds whole: the usual case, told apart without putting pieces together. */
const WHOLE_FIRST_WORD = /^[ \t\n\r\f\v]*([a-z]+)[^a-z_$/-]/i;

/**
 * Looks at how a statement begins, and tells what is wrong with sending it through a transaction's handle.
 *
 * It does not look for statements behind the first one, which only a text sent with `unsafe` and without parameters can
 * have: {@link transactionMarker} finds those out.
 */
export function refusedStatement(query: Query): PupError | undefined {
  const first = WHOLE_FIRST_WORD.exec(query.strings[0] ?? "")?.[1];
  if (first !== undefined && !SUSPECTS.has(first.toUpperCase())) return undefined;

  const text = statementText(query);
  const [word = "", next] = leadingWords(text, 2);
  if (CONTROL.has(word)) return new TransactionControlError(word);
  if (word === "PREPARE" && next === "TRANSACTION") return new TransactionControlError("PREPARE TRANSACTION");
  if (word === "COPY" && COPY_STREAM.test(text)) return new UnsupportedError(COPY_UNSUPPORTED);
  return undefined;
}
