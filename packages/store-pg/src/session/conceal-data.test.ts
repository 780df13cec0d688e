import { inspect } from "node:util";
import postgres from "postgres";
import { describe, expect, it } from "vitest";
import { concealData } from "./conceal-data.ts";

/** An error as the server sends it through postgres.js, which cannot be made otherwise. */
function serverError(fields: Readonly<Record<string, string>>, sent: readonly unknown[] = []): Error {
  const PostgresError = postgres.PostgresError as unknown as new (fields: object) => Error;
  const error = new PostgresError({ severity: "ERROR", ...fields });
  return Object.defineProperties(error, {
    query: { value: "insert into t values ($1)" },
    parameters: { value: sent },
    args: { value: sent },
  });
}

/** All that can be seen of an error. */
function spoken(error: unknown): string {
  return inspect(error, { depth: 10, showHidden: true });
}

describe("concealData", () => {
  it("takes out the values that were sent, and keeps what tells where it went wrong", () => {
    const fields = {
      code: "42P01",
      message: 'relation "t" does not exist',
      position: "13",
      routine: "parserOpenTable",
    };
    const error = serverError(fields, ["secret"]);

    const concealed = concealData(error);

    expect(spoken(error)).toContain("secret");
    expect(spoken(concealed)).not.toContain("secret");
    expect(concealed).toMatchObject({ ...fields, name: "PostgresError", query: "insert into t values ($1)" });
    expect(concealed).toBeInstanceOf(postgres.PostgresError);
    expect((concealed as Error).stack).toContain("conceal-data.test.ts");
  });

  it.each([
    ["22P02", 'invalid input syntax for type integer: "se"cret"', 'invalid input syntax for type integer: "…"'],
    ["22P02", "ungültige Eingabesyntax für Typ integer: »secret«", 'ungültige Eingabesyntax für Typ integer: "…"'],
    ["22003", 'value "secret" is out of range for type integer', 'value "…" is out of range for type integer'],
    ["22P02", "invalid input syntax for type json", "invalid input syntax for type json"],
    ["23505", 'unique constraint "t_key" is violated', 'unique constraint "t_key" is violated'],
  ])("takes the value out of the message of %s: %s", (code, message, expected) => {
    const concealed = concealData(serverError({ code, message })) as Error;

    expect(concealed.message).toBe(expected);
    expect(concealed.stack).toContain(`PostgresError: ${expected}\n`);
    expect(spoken(concealed)).not.toContain("secret");
  });

  it.each([
    ["23505", "Key (email, n)=(secret, 1) already exists.", "Key (email, n)=(…) already exists."],
    ["23505", "Key (lower(email))=(a)=(secret) already exists.", "Key (lower(email))=(…) already exists."],
    ["23P01", "Key (at)=([secret,2)) conflicts with existing key (at)=([1,secret)).", "Key (at)=(…)."],
    ["23514", "Failing row contains (1, secret).", undefined],
    ["22P02", 'Token "secret" is invalid.', undefined],
    ["40P01", "Process 1 waits for ShareLock on transaction 2.", "Process 1 waits for ShareLock on transaction 2."],
  ])("keeps of the detail of %s only what is no data: %s", (code, detail, expected) => {
    const concealed = concealData(serverError({ code, message: "wrong", detail }));

    expect((concealed as { detail?: string }).detail).toBe(expected);
    expect(spoken(concealed)).not.toContain("secret");
  });

  it("keeps the functions of a context, not what they said", () => {
    const where = [
      "SQL statement \"insert into t values ('secret')\"",
      "PL/pgSQL function f(integer) line 3 at EXECUTE",
      "unnamed portal with parameters: $1 = 'secret'",
    ].join("\n");
    const concealed = concealData(serverError({ code: "42501", message: "no", where, internal_query: "secret" }));

    expect(concealed).toMatchObject({ where: "PL/pgSQL function f(integer) line 3 at EXECUTE" });
    expect(spoken(concealed)).not.toContain("secret");
  });

  it("keeps a number out that Node did not take for a text", () => {
    const wrong = () => Buffer.byteLength(4_711 as unknown as string);

    expect(spoken(concealData(failureOf(wrong)))).toContain("must be of type string");
    expect(spoken(concealData(failureOf(wrong)))).not.toContain("4711");
  });

  it.each([new Error("a handler's own words"), "no error", null, undefined])("leaves %s alone", (error) => {
    expect(concealData(error)).toBe(error);
  });
});

function failureOf(act: () => unknown): unknown {
  try {
    return act();
  } catch (error) {
    return error;
  }
}
