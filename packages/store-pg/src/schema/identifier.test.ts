import { describe, expect, it } from "vitest";
import { checkIdentifier, qualify, quoteIdentifier } from "./identifier.ts";

describe("checkIdentifier", () => {
  it.each([
    "events",
    "Events",
    "a.b",
    "with space",
    'with "quotes"',
    "semi;colon",
    "it's",
    "%s $1",
    "zażółć",
    "x".repeat(63),
  ])("takes %s as it is", (name) => {
    expect(checkIdentifier("tables.events", name)).toBe(name);
  });

  it.each([
    ["nothing", ""],
    ["more than 63 bytes", "x".repeat(64)],
    ["63 characters of more bytes", "ż".repeat(63)],
    ["NUL", "a\0b"],
    ["half of a surrogate pair", "a\ud83d"],
    ["a number", 7],
    ["null", null],
  ])("refuses %s, and names the option", (_, name) => {
    expect(() => checkIdentifier("tables.events", name)).toThrow(
      expect.objectContaining({ code: "PUP_INVALID_IDENTIFIER", message: expect.stringContaining("`tables.events`") }),
    );
  });
});

describe("quoteIdentifier", () => {
  it("doubles quotes and leaves the rest alone", () => {
    expect(quoteIdentifier('a"b.c;--')).toBe('"a""b.c;--"');
  });
});

describe("qualify", () => {
  it("quotes schema and name each for itself", () => {
    expect(qualify("my.schema", 'my"table')).toBe('"my.schema"."my""table"');
  });
});
