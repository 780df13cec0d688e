import { isQuery, type Query } from "./query.ts";

const SPACE = /^[ \t\n\r\f\v;]+/;
const LINE_COMMENT = /^--[^\n\r]*/;

/**
 * What a query is going to send, as far as its first words need it: fragments in their places, `$` for each parameter
 * and helper. The whole text only where the first piece does not tell.
 */
export function statementText(query: Query): string {
  let text = query.strings[0] ?? "";
  // Values of `unsafe` have no place in its text.
  if (!query.tagged) return text;
  for (let i = 1; i < query.strings.length; i++) text += textOf(query.args[i - 1]) + query.strings[i];
  return text;
}

function textOf(value: unknown): string {
  if (isQuery(value)) return statementText(value);
  if (Array.isArray(value) && isQuery(value[0])) return value.map(textOf).join(" ");
  return "$";
}

/** The first `count` words of a statement in capitals, past spaces, comments and empty statements. */
export function leadingWords(text: string, count: number): string[] {
  const words: string[] = [];
  for (let rest = skipBlanks(text); words.length < count; ) {
    const [word] = /^[a-z_]+/i.exec(rest) ?? [];
    if (word === undefined) break;
    words.push(word.toUpperCase());
    rest = skipBlanks(rest.slice(word.length));
  }
  return words;
}

function skipBlanks(text: string): string {
  let rest = text;
  for (let before = ""; before !== rest; ) {
    before = rest;
    rest = skipBlockComment(rest.replace(SPACE, "").replace(LINE_COMMENT, ""));
  }
  return rest;
}

/** Block comments nest in PostgreSQL. */
function skipBlockComment(text: string): string {
  if (!text.startsWith("/*")) return text;
  let depth = 0;
  for (const { 0: mark, index } of text.matchAll(/\/\*|\*\//g)) {
    depth += mark === "/*" ? 1 : -1;
    if (depth === 0) return text.slice(index + 2);
  }
  return "";
}
