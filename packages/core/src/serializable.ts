/** What cannot be stored, and where it was found. */
export interface Unserializable {
  /** For instance `payload.lines[2].price`. */
  readonly path: string;
  /** What was found there, to be read after "got": `a bigint`. */
  readonly reason: string;
}

/** Objects that `JSON.stringify` empties without a word. */
const emptied = [Map, Set, WeakMap, WeakSet, Promise, RegExp, Error, ArrayBuffer, SharedArrayBuffer] as const;

/** Primitives made into objects: rare enough to be a mistake. */
const boxes = [String, Number, Boolean, BigInt, Symbol] as const;

// PostgreSQL's parser and `JSON.stringify` both recurse; this is far below where either gives up.
const MAX_DEPTH = 1_000;

/**
 * Finds the first thing in a value that JSON or PostgreSQL's jsonb cannot carry, or would change silently; null when there is
 * none. Follows `JSON.stringify`: `toJSON` speaks for an object that has it, properties that are `undefined` are left out.
 *
 * Every payload passes through here, so paths are put together only when something was found.
 *
 * @param path - where the value stands, for the answer
 * @throws what a getter or a `toJSON` throws
 */
export function findUnserializable(value: unknown, path: string): Unserializable | null {
  const found = find(value, "", []);
  return found && { path: path + found.path, reason: found.reason };
}

/** True when PostgreSQL's text and jsonb can hold it: without NUL, and without halves of surrogate pairs. */
export function isStorableText(text: string): boolean {
  return text.isWellFormed() && !text.includes("\0");
}

function find(original: unknown, key: string | number, ancestors: object[]): Unserializable | null {
  const value = hasToJson(original) ? original.toJSON(String(key)) : original;
  const reason = unserializableLeaf(value, original);
  if (reason !== null) return { path: "", reason };
  if (typeof value !== "object" || value === null) return null;
  // Nesting is shallow as a rule: looking through the list costs less than keeping a set.
  if (ancestors.includes(value)) return { path: "", reason: "a cycle" };
  if (ancestors.length === MAX_DEPTH) return { path: "", reason: `more than ${MAX_DEPTH} levels` };

  ancestors.push(value);
  const found = Array.isArray(value) ? findInList(value, ancestors) : findInObject(value, ancestors);
  ancestors.pop();
  return found;
}

function findInList(list: readonly unknown[], ancestors: object[]): Unserializable | null {
  // By index, because `forEach` would pass over holes, which JSON turns into null.
  for (let index = 0; index < list.length; index++) {
    const found = find(list[index], index, ancestors);
    if (found) return { path: `[${index}]${found.path}`, reason: found.reason };
  }
  return null;
}

function findInObject(object: object, ancestors: object[]): Unserializable | null {
  for (const key of Object.keys(object)) {
    const value = object[key as keyof typeof object] as unknown;
    if (value === undefined) continue;
    if (!isStorableText(key)) return { path: placeOf(key), reason: `a key with ${describeText(key)}` };
    const found = find(value, key, ancestors);
    if (found) return { path: placeOf(key) + found.path, reason: found.reason };
  }
  return null;
}

function placeOf(key: string): string {
  return /^[\p{L}_$][\p{L}\p{N}_$]*$/u.test(key) ? `.${key}` : `[${JSON.stringify(key)}]`;
}

function unserializableLeaf(value: unknown, original: unknown): string | null {
  switch (typeof value) {
    case "string":
      return isStorableText(value) ? null : `text with ${describeText(value)}`;
    case "number":
      return Number.isFinite(value) ? null : String(value);
    case "boolean":
      return null;
    case "object":
      return value === null ? unserializableNull(original) : unserializableObject(value);
    case "undefined":
      return "undefined";
    default:
      return `a ${typeof value}`;
  }
}

function unserializableNull(original: unknown): string | null {
  return original instanceof Date ? "an invalid date" : null;
}

function unserializableObject(value: object): string | null {
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype === Object.prototype || prototype === Array.prototype) return null;
  if (boxes.some((box) => value instanceof box)) return "a boxed value";
  if (ArrayBuffer.isView(value)) return "binary data";
  const type = emptied.find((one) => value instanceof one);
  return type ? `${/^[AEIOU]/.test(type.name) ? "an" : "a"} ${type.name}` : null;
}

function describeText(text: string): string {
  return text.includes("\0") ? "a NUL character" : "half of a surrogate pair";
}

function hasToJson(value: unknown): value is { toJSON(key: string): unknown } {
  return typeof value === "object" && value !== null && typeof (value as { toJSON?: unknown }).toJSON === "function";
}
