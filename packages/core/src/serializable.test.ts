import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { findUnserializable } from "./serializable.ts";

describe("findUnserializable", () => {
  const find = (value: unknown) => findUnserializable(value, "payload");

  it.each([
    ["text", "Zażółć 🐶"],
    ["numbers", [0, -0, 1.5, 1e308, 5e-324]],
    ["null", null],
    ["nested values", { a: [{ b: [[{}]] }] }],
    ["dates", { at: new Date(0) }],
    ["properties that are undefined", { a: undefined }],
    ["what has a toJSON", { money: { toJSON: () => "12 EUR" }, url: new URL("https://example.org") }],
    [
      "instances of classes",
      new (class Money {
        amount = 12;
      })(),
    ],
    ["objects without prototype", Object.assign(Object.create(null), { a: 1 })],
    ["the same object twice", [shared, shared]],
    ["keys of all kinds", JSON.parse('{"__proto__":1,"":2,"a.b":3}')],
    ["a thousand levels", nested(999)],
  ])("finds nothing wrong with %s", (_, value) => {
    expect(find(value)).toBeNull();
  });

  it.each([
    ["undefined", undefined, "payload", "undefined"],
    ["a function", () => 1, "payload", "a function"],
    ["a symbol", { s: Symbol("s") }, "payload.s", "a symbol"],
    ["a bigint", { a: { b: 1n } }, "payload.a.b", "a bigint"],
    ["NaN", [0, Number.NaN], "payload[1]", "NaN"],
    ["infinity", { a: -1 / 0 }, "payload.a", "-Infinity"],
    ["an invalid date", { at: new Date(Number.NaN) }, "payload.at", "an invalid date"],
    ["undefined in a list", [[undefined]], "payload[0][0]", "undefined"],
    ["a hole in a list", new Array(1), "payload[0]", "undefined"],
    ["a map", { m: new Map() }, "payload.m", "a Map"],
    ["a set", { s: new Set([1]) }, "payload.s", "a Set"],
    ["a promise", Promise.resolve(1), "payload", "a Promise"],
    ["an error", { cause: new TypeError("x") }, "payload.cause", "an Error"],
    ["a regular expression", /x/, "payload", "a RegExp"],
    ["bytes", { bytes: new Uint8Array(2) }, "payload.bytes", "binary data"],
    ["a buffer without view", new ArrayBuffer(2), "payload", "an ArrayBuffer"],
    ["a boxed number", { n: Object(1) }, "payload.n", "a boxed value"],
    ["NUL in text", { "a b": "x\0" }, 'payload["a b"]', "text with a NUL character"],
    ["NUL in a key", { "x\0": 1 }, 'payload["x\\u0000"]', "a key with a NUL character"],
    ["half of a surrogate pair", ["\udc00x"], "payload[0]", "text with half of a surrogate pair"],
    ["half of a pair in a key", { "\ud83d": 1 }, 'payload["\\ud83d"]', "a key with half of a surrogate pair"],
    ["what toJSON gives", { a: { toJSON: () => 1n } }, "payload.a", "a bigint"],
    ["a cycle", cyclic, "payload.list[0].back", "a cycle"],
    ["too many levels", nested(1_001), expect.stringContaining("payload.inner.inner"), "more than 1000 levels"],
  ])("finds %s, and where", (_, value, path, reason) => {
    expect(find(value)).toEqual({ path, reason });
  });

  it("finds nothing in whatever JSON can carry", () => {
    const json = fc
      .jsonValue({ stringUnit: "grapheme", depthSize: "medium" })
      .filter((value) => !JSON.stringify(value).includes("\\u0000"));

    fc.assert(
      fc.property(json, (value) => {
        expect(find(value)).toBeNull();
      }),
    );
  });

  it("lets nothing through that comes back changed", () => {
    const anything = fc.anything({
      withBigInt: true,
      withDate: true,
      withMap: true,
      withSet: true,
      withTypedArray: true,
      withSparseArray: true,
      withBoxedValues: true,
    });

    fc.assert(
      fc.property(anything, (value) => {
        fc.pre(find(value) === null);
        const once = JSON.parse(JSON.stringify(value));

        // What is left out (undefined properties) or turned into text (dates) is that the first time; then nothing changes.
        expect(JSON.parse(JSON.stringify(once))).toEqual(once);
        expect(countLeaves(once)).toBe(countLeaves(value));
      }),
      { numRuns: 1_000 },
    );
  });
});

const shared = { a: 1 };

const cyclic: { list: { back?: object }[] } = { list: [{}] };
(cyclic.list[0] as { back?: object }).back = cyclic;

function nested(levels: number): object {
  let value: object = {};
  for (let level = 0; level < levels; level++) value = { inner: value };
  return value;
}

function countLeaves(value: unknown): number {
  if (value === undefined) return 0;
  if (value instanceof Date) return 1;
  if (typeof value !== "object" || value === null) return 1;
  return Object.values(value).reduce((count: number, inner) => count + countLeaves(inner), 0);
}
