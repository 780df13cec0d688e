import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { formatArrayLiteral, parseArrayLiteral } from "./array-literal.ts";

describe("An array literal", () => {
  it.each([
    ["{}", []],
    ["{1,2}", [1, 2]],
    ["{NULL,1}", [null, 1]],
    [
      "{{1,2},{3,4}}",
      [
        [1, 2],
        [3, 4],
      ],
    ],
    ["[0:1]={7,8}", [7, 8]],
    ["[0:0][1:2]={{7,8}}", [[7, 8]]],
  ])("is read: %s", (text, values) => {
    expect(parseArrayLiteral(text, Number)).toEqual(values);
  });

  it.each([
    ['{a,"b c"}', ["a", "b c"]],
    ['{"","NULL",NULL}', ["", "NULL", null]],
    [String.raw`{"a\"b","c\\d","e,f","{g}"}`, ['a"b', "c\\d", "e,f", "{g}"]],
  ])("is read with quotes: %s", (text, values) => {
    expect(parseArrayLiteral(text, String)).toEqual(values);
  });

  it("gives back what was written, whatever that was", () => {
    const element = fc.oneof(fc.string({ unit: "binary" }), fc.constant(null));
    const nested = fc.array(fc.array(element, { minLength: 1 }), { minLength: 1 });
    fc.assert(
      fc.property(fc.oneof(fc.array(element), nested), (values) => {
        expect(parseArrayLiteral(formatArrayLiteral(values, String), String)).toEqual(values);
      }),
    );
  });
});
