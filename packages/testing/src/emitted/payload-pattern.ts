import { isDeepStrictEqual } from "node:util";

/**
 * What an event's payload should look like: the parts that matter, each as a value or as an asymmetric matcher of the test runner
 * (`expect.any(String)`); or a function that says whether it fits.
 */
export type PayloadPattern<Payload> = PartialPayload<Payload> | ((payload: Payload) => boolean);

type PartialPayload<Payload> = { readonly [Key in keyof Payload]?: PartialValue<Payload[Key]> };

type PartialValue<Value> =
  | Value
  | AsymmetricMatcher
  // Of an error or whatever else nobody knows the type of: the properties that matter.
  | (unknown extends Value ? Readonly<Record<string, unknown>> : Value extends object ? PartialPayload<Value> : never);

/** What `expect.any` and its like return, in vitest as in jest. */
export interface AsymmetricMatcher {
  asymmetricMatch(value: unknown): boolean;
}

/** Whether a payload has everything that the pattern asks for. Lists have to agree as a whole. */
export function fitsPattern<Payload>(payload: Payload, pattern: PayloadPattern<Payload>): boolean {
  return typeof pattern === "function" ? pattern(payload) : includes(payload, pattern);
}

function includes(value: unknown, expected: unknown): boolean {
  if (isAsymmetric(expected)) return expected.asymmetricMatch(value);
  if (!isPlain(expected)) return isDeepStrictEqual(value, expected);
  if (typeof value !== "object" || value === null) return false;
  return Object.entries(expected).every(([key, part]) => includes((value as Record<string, unknown>)[key], part));
}

function isAsymmetric(expected: unknown): expected is AsymmetricMatcher {
  return typeof (expected as AsymmetricMatcher | null | undefined)?.asymmetricMatch === "function";
}

/** An object literal. Not compared by prototype: jest gives tests another `Object` than their modules have. */
function isPlain(value: unknown): value is object {
  return Object.prototype.toString.call(value) === "[object Object]" && !(value instanceof Error);
}
