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

// A surrogate that is half of no pair, and NUL: jsonb refuses both.
const unstorableText = /[\0\p{Surrogate}]/u;

/**
 * Finds the first thing in a value that JSON or PostgreSQL's jsonb cannot carry, or would change silently; null when there is
 * none. Follows `JSON.stringify`: `toJSON` speaks for an object that has it, properties that are `undefined` are left out.
 *
 * @param path - where the value stands, for the answer
 * @throws what a getter or a `toJSON` throws
 */
export function findUnserializable(value: unknown, path: string): Unserializable | null {
  return find(value, "", path, new Set());
}

function find(original: unknown, key: string, path: string, ancestors: Set<object>): Unserializable | null {
  const value = hasToJson(original) ? original.toJSON(key) : original;
  const reason = unserializableLeaf(value, original);
  if (reason !== null) return { path, reason };
  if (typeof value !== "object" || value === null) return null;
  if (ancestors.has(value)) return { path, reason: "a cycle" };
  if (ancestors.size === MAX_DEPTH) return { path, reason: `more than ${MAX_DEPTH} levels` };

  ancestors.add(value);
  const found = Array.isArray(value) ? findInList(value, path, ancestors) : findInObject(value, path, ancestors);
  ancestors.delete(value);
  return found;
}

function findInList(list: readonly unknown[], path: string, ancestors: Set<object>): Unserializable | null {
  // By index, because `forEach` would pass over holes, which JSON turns into null.
  for (let index = 0; index < list.length; index++) {
    const found = find(list[index], String(index), `${path}[${index}]`, ancestors);
    if (found) return found;
  }
  return null;
}

function findInObject(object: object, path: string, ancestors: Set<object>): Unserializable | null {
  for (const [key, value] of Object.entries(object)) {
    if (value === undefined) continue;
    const place = /^[\p{L}_$][\p{L}\p{N}_$]*$/u.test(key) ? `${path}.${key}` : `${path}[${JSON.stringify(key)}]`;
    if (unstorableText.test(key)) return { path: place, reason: `a key with ${describeText(key)}` };
    const found = find(value, key, place, ancestors);
    if (found) return found;
  }
  return null;
}

function unserializableLeaf(value: unknown, original: unknown): string | null {
  switch (typeof value) {
    case "string":
      return unstorableText.test(value) ? `text with ${describeText(value)}` : null;
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
  if (boxes.some((box) => value instanceof box)) return "a boxed value";
  if (ArrayBuffer.isView(value)) return "binary data";
  const type = emptied.find((one) => value instanceof one);
  return type ? `a ${type.name}` : null;
}

function describeText(text: string): string {
  return text.includes("\0") ? "a NUL character" : "half of a surrogate pair";
}

function hasToJson(value: unknown): value is { toJSON(key: string): unknown } {
  return typeof value === "object" && value !== null && typeof (value as { toJSON?: unknown }).toJSON === "function";
}
