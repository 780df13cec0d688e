import postgres from "postgres";
import { describe, expect, it } from "vitest";
import { asQuery } from "./query.ts";
import { leadingWords, statementText } from "./statement-text.ts";

// Makes queries; nothing is executed.
const sql = postgres("postgres://nowhere");

describe("statementText", () => {
  it.each([
    ["a template", sql`select ${1} + ${2}`, "select $ + $"],
    ["fragments in their places", sql`select ${sql`a, ${sql`b`}`} from t`, "select a, b from t"],
    ["a list of fragments", sql`select 1 ${[sql`where true`, sql`and ${1} > 0`]}`, "select 1 where true and $ > 0"],
    ["helpers", sql`insert into t ${sql({ a: 1 })}`, "insert into t $"],
    ["a text with values", sql.unsafe("select $1::int", [1]), "select $1::int"],
    ["a text as a fragment", sql`${sql.unsafe("commit")}`, "commit"],
  ])("puts together %s", (_, query, text) => {
    expect(statementText(asQuery(query as never))).toBe(text);
  });
});

describe("leadingWords", () => {
  it.each([
    ["select 1", ["SELECT"]],
    ["Prepare  Transaction 'x'", ["PREPARE", "TRANSACTION"]],
    [" \t\r\n\f\v;;commit", ["COMMIT"]],
    ["-- one\n-- two\r\ncommit", ["COMMIT"]],
    ["/**/commit", ["COMMIT"]],
    ["/* a /* b */ c */ commit -- d", ["COMMIT"]],
    ["/* a /* b */ commit", []],
    ["commit/* a */work", ["COMMIT", "WORK"]],
    ["(select 1)", []],
    ["", []],
    ["-- nothing", []],
    ["begin_of_day()", ["BEGIN_OF_DAY"]],
  ])("finds those of %j", (text, words) => {
    expect(leadingWords(text, 2)).toEqual(words);
  });
});
